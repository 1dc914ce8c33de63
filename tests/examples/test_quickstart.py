"""The quickstart, run as a user runs it: a process, real files, a real Ctrl-C."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import quickstart
from medialibrary import python_folders
from tests.examples.audio import write_flac, write_mp3, write_wav

if sys.platform == "win32":
    pytest.skip("signals, pipes and terminals of POSIX are the point", allow_module_level=True)

import termios

pytestmark = pytest.mark.slow

EXAMPLES = Path(quickstart.__file__).parent

# root may read everything, unless it gives that up
AS_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

HELD = """
import sys
from pathlib import Path

sys.path.insert(0, {examples!r})
import quickstart
from medialibrary import scanner

read_tags = scanner.read_tags

def hold(path):
    Path({reading!r}).write_text(path.name)  # waits for who reads it
    Path({go_on!r}).read_text()              # waits for who writes it
    return read_tags(path)

scanner.read_tags = hold
sys.exit(quickstart.main())
"""
"""The quickstart, with a scanner that waits at each file for the test."""


class Quickstart:
    """Runs the quickstart with a catalogue of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.catalogue = tmp_path / "cache" / "quickstart.sqlite3"
        self.reading, self.go_on = tmp_path / "reading", tmp_path / "go on"
        self.environment = {
            **{name: os.environ[name] for name in os.environ if name != "FORCE_COLOR"},
            "COLUMNS": "200",
            "PYTHONUTF8": "1",
            "TERM": "xterm",
        }

    def run(
        self, *arguments: str | Path, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*prefix, sys.executable, EXAMPLES / "quickstart.py", *self._with_catalogue(arguments)],
            env=self.environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
        )

    def hold(self, *arguments: str | Path) -> list[str | Path]:
        """Return the command that runs it with a scanner that waits at each file."""
        os.mkfifo(self.reading)
        os.mkfifo(self.go_on)
        script = HELD.format(
            examples=str(EXAMPLES), reading=str(self.reading), go_on=str(self.go_on)
        )
        return [sys.executable, "-c", script, *self._with_catalogue(arguments)]

    def _with_catalogue(self, arguments: tuple[str | Path, ...]) -> list[str | Path]:
        return ["--catalogue", self.catalogue, *arguments]


@pytest.fixture
def demo(tmp_path: Path) -> Quickstart:
    """The quickstart with an empty catalogue."""
    return Quickstart(tmp_path)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder of three audio files and a picture."""
    folder = tmp_path / "music"
    (folder / "album").mkdir(parents=True)
    write_mp3(folder / "album" / "one.mp3")
    write_flac(folder / "album" / "two.flac")
    write_wav(folder / "three.wav")
    (folder / "cover.jpg").write_bytes(b"a picture")
    return folder


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A folder of one text file."""
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "book.txt").write_text("Once upon a time")
    return folder


def rows(output: str) -> dict[str, list[str]]:
    """Return the table, without its times: status and numbers of each library."""
    pattern = r"^ ?(\S+) +(COMPLETED|FAILED|CANCELLED) +(.*\S) *$"
    found = re.findall(pattern, output, re.MULTILINE)
    return {name: [status, *figures.split()[:5]] for name, status, figures in found}


def test_second_run_counts_what_has_changed(demo: Quickstart, music: Path, books: Path) -> None:
    """All files are added; then one is, one updated, one removed and one corrupted."""
    first = demo.run(music, books)
    assert first.returncode == 0, first.stderr
    assert rows(first.stdout) == {
        "music": ["COMPLETED", "4", "4", "0", "0", "0"],
        "books": ["COMPLETED", "1", "1", "0", "0", "0"],
    }
    assert "\x1b" not in first.stdout
    assert {"music: running", "music: completed", "books: completed"} <= set(
        first.stdout.splitlines()
    )

    write_mp3(music / "album" / "four.mp3")
    write_flac(music / "album" / "two.flac", "A longer title")
    (music / "cover.jpg").unlink()
    (music / "album" / "one.mp3").write_bytes(b"no music at all")
    second = demo.run(music, books)
    assert second.returncode == 0, second.stderr
    assert rows(second.stdout) == {
        "music": ["COMPLETED", "4", "1", "1", "1", "1"],
        "books": ["COMPLETED", "1", "0", "0", "0", "0"],
    }
    assert "one.mp3" in second.stderr


def test_deep_reads_all_again(demo: Quickstart, music: Path) -> None:
    """A change that size and time hide is found."""
    path = music / "album" / "one.mp3"
    demo.run(music)
    before = path.stat()
    write_mp3(path, "a title")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows(demo.run(music).stdout)["music"][3] == "0"
    assert rows(demo.run("--deep", music).stdout)["music"][3] == "1"


def test_libraries_that_are_away_do_not_stop_the_others(
    demo: Quickstart, music: Path, books: Path, tmp_path: Path
) -> None:
    """What is missing or a file fails with a line that says so, and loses nothing."""
    demo.run(music, books)
    away = music.rename(tmp_path / "away")
    run = demo.run(music, books / "book.txt", books)
    assert run.returncode == 1
    assert rows(run.stdout) == {
        "music": ["FAILED", "0", "-", "-", "-", "-"],
        "book.txt": ["FAILED", "0", "-", "-", "-", "-"],
        "books": ["COMPLETED", "1", "0", "0", "0", "0"],
    }
    shown = run.stdout.replace("\n", "")
    assert f"music: LibraryUnavailable: No such file or directory: {music}" in shown
    assert f"book.txt: LibraryUnavailable: Not a directory: {books / 'book.txt'}" in shown
    away.rename(music)
    assert rows(demo.run(music).stdout)["music"] == ["COMPLETED", "4", "0", "0", "0", "0"]


def test_folders_without_permission_lose_nothing(
    demo: Quickstart, music: Path, books: Path
) -> None:
    """A library that cannot be read is unavailable; a folder inside one is counted as failed."""
    demo.run(music, books)
    closed = (music / "album", books)
    for folder in closed:
        folder.chmod(0)
    run = demo.run(music, books, prefix=AS_USER)
    for folder in closed:
        folder.chmod(0o755)
    assert run.returncode == 1
    assert rows(run.stdout) == {
        "music": ["COMPLETED", "2", "0", "0", "0", "1"],
        "books": ["FAILED", "0", "-", "-", "-", "-"],
    }
    assert "books: LibraryUnavailable: Permission denied: " in run.stdout
    assert rows(demo.run(music).stdout) == {"music": ["COMPLETED", "4", "0", "0", "0", "0"]}


def test_same_and_nested_folders(demo: Quickstart, music: Path, tmp_path: Path) -> None:
    """The same folder twice is one library; a folder inside another, or a namesake, its own."""
    namesake = tmp_path / "other" / "music"
    namesake.mkdir(parents=True)
    run = demo.run(music, f"{music}/", music / "album" / "..", music / "album", namesake)
    assert run.returncode == 0
    table = rows(run.stdout.replace(f"{tmp_path}/", ""))
    assert [figures[:3] for figures in table.values()] == [
        ["COMPLETED", "4", "4"],
        ["COMPLETED", "2", "2"],
        ["COMPLETED", "0", "0"],
    ]


def test_hostile_names(demo: Quickstart, tmp_path: Path) -> None:
    """Names with bytes that are no text, markup or escape sequences are shown, not obeyed."""
    folders = [tmp_path / os.fsdecode(name) for name in (b"caf\xe9", b"[red]", b"\x1b[31m")]
    for folder in folders:
        folder.mkdir()
        (folder / os.fsdecode(b"[red]\x1b[2J\xff.mp3")).write_bytes(b"corrupt")
    run = demo.run(*folders)
    assert run.returncode == 0, run.stderr
    assert "\x1b" not in run.stdout + run.stderr
    figures = ["COMPLETED", "1", "0", "0", "0", "1"]
    assert rows(run.stdout) == {r"caf\xe9": figures, "[red]": figures, r"\x1b[31m": figures}


def test_output_that_has_no_such_letters(demo: Quickstart, tmp_path: Path) -> None:
    """What the encoding of the output lacks is shown as an escape."""
    (tmp_path / "café").mkdir()
    demo.environment["PYTHONIOENCODING"] = "ascii"
    run = demo.run(tmp_path / "café")
    assert run.returncode == 0, run.stderr
    assert r"caf\xe9: completed" in run.stdout.splitlines()


@pytest.mark.parametrize(
    "arguments", [["--workers", "0"], ["--workers", "many"], ["--catalogue", "/dev/null/file"]]
)
def test_arguments_that_cannot_work_are_refused(
    demo: Quickstart, music: Path, arguments: list[str]
) -> None:
    """With the usage, the reason and exit code 2, and no traceback."""
    run = demo.run(*arguments, music)
    assert run.returncode == 2
    assert "quickstart.py: error: " in run.stderr
    assert "Traceback" not in run.stderr


def test_catalogue_that_is_none_is_refused(demo: Quickstart, music: Path) -> None:
    """Another file is not overwritten."""
    path = music / "cover.jpg"
    path.write_bytes(b"a picture" * 1000)
    run = demo.run("--catalogue", path, music)
    assert (run.returncode, path.read_bytes()) == (2, b"a picture" * 1000)
    assert f"cannot use the catalogue {path}: file is not a database" in run.stderr


def test_default_folders_are_real() -> None:
    """Every machine has something to scan."""
    folders = python_folders()
    assert len(folders) > 1
    assert all(folder.is_dir() for folder in folders)


def test_ctrl_c_cancels_and_tells(demo: Quickstart, music: Path, books: Path) -> None:
    """The scan in the middle of a file and the pending one are CANCELLED; nothing is kept."""
    command = demo.hold("--workers", "1", music, books)
    with subprocess.Popen(
        command, env=demo.environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert demo.reading.read_text()  # the scan is at its first file
        process.send_signal(signal.SIGINT)
        shown = read_until(process, "music: stopping")
        demo.go_on.write_text("go on")
        shown += process.stdout.read()
    assert process.returncode == 130
    assert rows(shown) == {
        "music": ["CANCELLED", "0", "-", "-", "-", "-"],
        "books": ["CANCELLED", "0", "-", "-", "-", "-"],
    }
    assert rows(demo.run(music).stdout)["music"] == ["COMPLETED", "4", "4", "0", "0", "0"]


def test_second_ctrl_c_leaves_at_once(demo: Quickstart, music: Path) -> None:
    """A scan that hangs, on a network drive say, cannot keep anybody."""
    command = demo.hold(music)
    with subprocess.Popen(
        command, env=demo.environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert demo.reading.read_text()
        process.send_signal(signal.SIGINT)
        read_until(process, "music: stopping")
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130  # though the file was never let go


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what a process prints, up to the line with this text."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_terminal_has_bars_and_its_cursor_back(demo: Quickstart, music: Path) -> None:
    """In a terminal there are bars while it scans, and then just the table; Ctrl-C works."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: demo.environment[name] for name in demo.environment if name != "COLUMNS"}
    process = subprocess.Popen(
        demo.hold(music),
        env=environment,
        preexec_fn=partial(os.login_tty, theirs),  # noqa: PLW1509 - no other thread of ours runs
        close_fds=False,
    )
    os.close(theirs)
    name = demo.reading.read_text()
    screen = read_terminal(ours, until=name)
    os.write(ours, b"\x03")
    screen += read_terminal(ours, until="stopping")
    demo.go_on.write_text("go on")
    screen += read_terminal(ours)
    os.close(ours)
    assert process.wait() == 130
    assert "\x1b[?25l" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    assert "all libraries" in screen
    assert "music: running" not in screen
    assert "CANCELLED" in screen.partition("\x1b[?25h")[2]


def read_terminal(terminal: int, until: str | None = None) -> str:
    """Return what is written to a terminal up to a text, or until nobody has it open."""
    screen = b""
    while until is None or until.encode() not in screen:
        try:
            screen += os.read(terminal, 4096)
        except OSError:  # nobody has it open any more
            break
    return screen.decode()

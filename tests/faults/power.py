"""Power cuts: the disks that the writes of a recorded run can leave behind.

The model is that of https://sqlite.org/atomiccommit.html, section 2, made stricter where real file
systems are. A sync of a file makes certain what was written to it before the sync began. Every
later write is there, or not, or in part, by sectors of 512 bytes, whatever became of the others; so
is a change of length, and a file may have grown without its data (zeros). Names are made,
linked and removed in order, as journals do it, and surely only with the next sync of the folder: a
sync of a file does not keep its name. The `-shm` file is memory, and gone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import attrs

from tests.faults.after import Log, check_file
from tests.faults.tracing import run_traced

SECTOR = 512
SYNCS = ("fsync", "fdatasync")
LINE = re.compile(r"^(\d+) +(.*)$")
RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
DESCRIPTOR = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")
UNFINISHED = " <unfinished ...>"


@attrs.frozen
class Event:
    """A system call that succeeded.

    Args:
        call: Its name, without variants.
        path: The file.
        began: How many events there were when it began.
        data: What was written.
        number: At which offset, or the new length.
        flags: How a file was opened.
        target: The new name.
    """

    call: str
    path: str
    began: int
    data: bytes = b""
    number: int = 0
    flags: str = ""
    target: str = ""


def parse(trace: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a trace, in the order in which the calls returned."""
    unfinished: dict[str, tuple[int, str]] = {}
    count = 0
    for line in trace:
        match = LINE.match(line)
        assert match is not None, line
        thread, text = match.groups()
        if text.endswith(UNFINISHED):
            unfinished[thread] = (count, text.removesuffix(UNFINISHED))
            continue
        began, resumed = count, RESUMED.match(text)
        if resumed is not None:
            began, start = unfinished.pop(thread)
            text = start + resumed[1]
        done = CALL.match(text)
        if done is not None:  # it succeeded
            count += 1
            yield event_of(done[1], done[2], began)


def event_of(call: str, arguments: str, began: int) -> Event:
    """Return the event of one call."""
    texts = []
    for match in TEXT.finditer(arguments):
        assert not match[2], "the data was cut short"
        texts.append(bytes.fromhex(match[1].replace("\\x", "")))
    last = arguments.rsplit(", ", 1)[-1]
    if call in {"write", "pwrite64", "ftruncate", "fsync", "fdatasync"}:
        descriptor = DESCRIPTOR.match(arguments)
        assert descriptor is not None, arguments
        path = bytes.fromhex(descriptor[1].replace("\\x", "")).decode()
        data = texts[0] if texts else b""
        number = int(last) if call in {"pwrite64", "ftruncate"} else 0
        return Event(call, path, began, data, number)
    names = [text.decode() for text in texts]
    call = next(known for known in ("open", "unlink", "link", "rename") if call.startswith(known))
    return Event(call, names[0], began, flags=arguments, target=names[-1])


@attrs.define
class Node:
    """A file: what is certain of it, and what was done since."""

    content: bytearray = attrs.field(factory=bytearray)
    later: list[tuple[int, Event]] = attrs.field(factory=list)


def apply(content: bytearray, event: Event, sectors: Iterable[int] | None = None) -> None:
    """Do to the content of a file what an event did, or some sectors of it."""
    if event.call == "ftruncate":
        del content[event.number :]
        content.extend(bytes(event.number - len(content)))
        return
    begin, end = event.number, event.number + len(event.data)
    if sectors is None:
        sectors = range(begin // SECTOR, (end - 1) // SECTOR + 1)
    for sector in sectors:
        first, last = max(begin, sector * SECTOR), min(end, (sector + 1) * SECTOR)
        content.extend(bytes(max(0, last - len(content))))
        content[first:last] = event.data[first - begin : last - begin]


class Disk:
    """The files of one folder, with what is certain and what is not.

    Args:
        folder: The folder; calls on other files are passed over.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.names: dict[str, Node] = {}
        self.certain_names: dict[str, Node] = {}
        self.later_names: list[tuple[int, dict[str, Node]]] = []
        """All names after each change since the last sync of the folder."""

    def play(self, number: int, event: Event) -> None:
        """Let an event happen, the n-th of all."""
        if event.path == self.folder:
            if event.call in SYNCS:
                for place, names in list(self.later_names):
                    if place < event.began:
                        self.certain_names = names
                        self.later_names.remove((place, names))
        elif event.call in SYNCS:
            node = self.names[event.path]
            for place, write in list(node.later):
                if place < event.began:
                    apply(node.content, write)
                    node.later.remove((place, write))
        elif event.call in {"pwrite64", "ftruncate"}:
            self.names[event.path].later.append((number, event))
        else:
            self._name(number, event)

    def _name(self, number: int, event: Event) -> None:
        names = self.names.copy()
        if event.call == "open":
            assert "O_TRUNC" not in event.flags, event
            if "O_CREAT" not in event.flags or event.path in names:
                return
            names[event.path] = Node()
        elif event.call == "link":
            names[event.target] = names[event.path]
        elif event.call == "unlink":
            del names[event.path]
        else:
            names[event.target] = names.pop(event.path)
        self.names = names
        self.later_names.append((number, names))

    def write_image(self, folder: Path, random: Random) -> None:
        """Write what may be found after a power cut now."""
        choices = [self.certain_names, *(names for _, names in self.later_names)]
        names = random.choice(choices)
        contents = {id(node): survivor(node, random) for node in names.values()}
        for path, node in names.items():
            if not path.endswith("-shm"):
                (folder / Path(path).name).write_bytes(contents[id(node)])


def survivor(node: Node, random: Random) -> bytes:
    """Return what may be found of a file."""
    content = bytearray(node.content)
    likely = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    tears, grows = random.random() < 0.5, random.random() < 0.5
    for _, event in node.later:
        if random.random() < likely:
            apply(content, event)
        elif tears and event.call == "pwrite64":
            begin, end = event.number, event.number + len(event.data)
            every = range(begin // SECTOR, (end - 1) // SECTOR + 1)
            apply(content, event, [sector for sector in every if random.random() < 0.5])
        elif grows and event.call == "pwrite64":
            content.extend(bytes(max(0, event.number + len(event.data) - len(content))))
    return bytes(content)


@attrs.frozen
class Recording:
    """A run of the script, event by event."""

    folder: Path
    log: Path
    events: list[Event]
    durability: str


def record(folder: Path, durability: str) -> Recording:
    """Run the script, and record what it does to its disk and what it acknowledges."""
    traced = run_traced(
        *(folder, "-s", "70000", "-xx"), durability=durability, lengthens=True, sees_log=True
    )
    assert traced.code == 0
    events = list(parse(traced.trace))
    recording = Recording(folder / "disk", folder / "log", events, durability)
    # Of two threads that wrote at the same time, strace may see the second one return first.
    writes = [event for event in events if event.path == str(recording.log) and event.data]
    told = sorted(event.data for event in writes)
    lines = sorted(recording.log.read_bytes().splitlines(keepends=True))
    assert told == lines, "the recording lacks something"
    return recording


def cut(recording: Recording, seed: int, folder: Path) -> str:
    """Cut the power at some moment, and check what is found afterwards.

    Args:
        recording: The run.
        seed: Which moment, and which writes survive.
        folder: Where to put the disk.
    """
    random = Random(f"{recording.durability} {seed}")
    end = random.randrange(len(recording.events) + 1)
    disk, told = Disk(recording.folder), b""
    for number, event in enumerate(recording.events[:end]):
        if event.path == str(recording.log):
            told += event.data
        else:
            disk.play(number, event)
    image = folder / "image"
    shutil.rmtree(image, ignore_errors=True)
    image.mkdir()
    disk.write_image(image, random)
    file = image / "queue.db"
    was_there = file.exists()
    check_file(file, Log.read(told), is_lossy=recording.durability == "normal")
    return "opened" if was_there else "made anew"

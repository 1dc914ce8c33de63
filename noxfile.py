"""Every check of the project: ``nox -l`` lists them.

``nox -s tests-3.11 -- -k cancel`` passes arguments on, and ``nox -R`` runs without building and
installing again (so the tests see the package as it was last time).
"""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # nox.project.dependency_groups
nox.options.sessions = ["lint", "types", "tests", "coverage", "docs", "build"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "uv|virtualenv"  # uv takes seconds where pip takes a minute
nox.options.error_on_external_run = True
# A machine without one of the Pythons tests the others, also where CI=true makes nox strict.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

# Tests start hundreds of processes, each of which would compile all that it imports; the compiled
# files stay out of the tree.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = str(Path(".nox", "bytecode").absolute())

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
PACKAGE: str = PYPROJECT["project"]["name"]

ON_THEIR_OWN = (
    *("benchmarks", "crash", "docs", "examples", "exhaustive"),
    *("faults", "mutants", "servers", "simulation"),
)
"""Folders of tests that take as long as all others together, and run on the oldest Python only.

They start and kill processes, run thousands of schedules of simulated threads, or are about what
stands around the package."""

BY_NUMBER = (
    *("service/test_both_stores.py", "service/test_machine.py", "stores/test_sqlite_rules.py"),
    *("stores/test_sqlite_size.py", "test_properties.py", "test_rules_machine.py"),
)
"""Tests that try the rules of the queue many times: they are the same on every Python."""

BY_INSTRUCTION = ("stores/test_interrupts.py", "service/test_interrupts.py")
"""Tests that follow the instructions of the oldest Python, one by one; others have other ones."""

BUSY_FORKS = "tests/service/test_fork.py::test_the_child_of_a_busy_queue_does_not_hang"

IN_PARALLEL = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")
"""Tests of one file share what it has set up; tests/conftest.py says which files come first."""

MEASURED = os.environ.get("MEASURE_COVERAGE_ON")
"""On which Python `tests` measures what it covers, so that `coverage` has only to report it."""

FEW_EXAMPLES = {"HYPOTHESIS_PROFILE": "few"}
"""For tests that run again what others have run with more; see tests/conftest.py."""


def _ignored(*names: str) -> list[str]:
    """Return the arguments for pytest that leave files or folders of tests out."""
    return [f"--ignore=tests/{name}" for name in names]


def _install(session: nox.Session, *groups: str) -> None:
    """Install the package, built as users get it, and dependency groups beside it."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups)
    # pip builds a folder again each time, and uv does if it is told to. `--no-compile`: most of
    # what is installed is never imported.
    again = ["--reinstall-package", PACKAGE] if session.venv_backend == "uv" else []
    session.install("--no-compile", *again, ".", *requirements)


def _measure(session: nox.Session) -> None:
    """Run the tests that cover the package, and note what they cover."""
    session.run("coverage", "erase")
    command = ("coverage", "run", "-m", "pytest", *IN_PARALLEL)
    # The tracer's own lock may be held by another thread at the moment of that test's forks, and
    # nobody lets it go in the child.
    args = (*_ignored(*ON_THEIR_OWN, *BY_NUMBER, *BY_INSTRUCTION), f"--deselect={BUSY_FORKS}")
    session.run(*command, *args, *session.posargs, env=FEW_EXAMPLES)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each supported Python that this machine has."""
    measures = session.python == MEASURED
    _install(session, "coverage" if measures else "tests")
    if measures:
        _measure(session)
        session.run("pytest", BUSY_FORKS, env=FEW_EXAMPLES)
    elif session.python == PYTHONS[0]:
        session.run("pytest", *IN_PARALLEL, *session.posargs)
    else:
        # What the checks of the test kit find does not depend on the version either.
        args = [
            *_ignored(*ON_THEIR_OWN, *BY_NUMBER, *BY_INSTRUCTION),
            "--ignore-glob=tests/testing/test_check_*.py",
        ]
        session.run("pytest", *IN_PARALLEL, *args, *session.posargs, env=FEW_EXAMPLES)


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, and with pyright that the wheel's public API is fully typed."""
    _install(session, "types")
    folders = [folder for folder in ("src", "tests", "examples") if Path(folder).is_dir()]
    session.run("mypy", *session.posargs, *folders)
    # Elsewhere, so that pyright sees the installed package and not the source tree.
    with session.chdir(session.create_tmp()):
        session.run("pyright", "--verifytypes", PACKAGE, "--ignoreexternal")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the layering of the modules."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests on one Python and demand every branch of the package."""
    _install(session, "coverage")
    if MEASURED is None:
        _measure(session)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation offline; a warning is an error."""
    _install(session, "docs")
    # fmt: off
    session.run(
        "sphinx-build", "-E", "-T", "-W", "-n", "--keep-going", "-b", "html",
        "docs", "docs/_build/html", *session.posargs,
    )
    # fmt: on


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Compare the queue's speed with others'; arguments go to tests/benchmarks."""
    _install(session, "bench")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kill processes 2,000 times (``nox -s crash -- [KILLS] [SEED]``), fail every system call."""
    _install(session, "tests")
    session.run("python", "-m", "tests.crash", *session.posargs)
    session.run("python", "-m", "tests.faults", "--all")


@nox.session(default=False)
def simulate(session: nox.Session) -> None:
    """Run a million schedules of simulated threads; arguments go to tests/simulation."""
    _install(session, "tests")
    arguments = session.posargs or ["explore", "--schedules", "1000000"]
    session.run("python", "-m", "tests.simulation", *arguments)


@nox.session(default=False)
def exhaust(session: nox.Session) -> None:
    """Search every state of the rules, in large worlds too; ``-- --write`` notes the numbers."""
    _install(session, "tests")
    session.run("python", "-m", "tests.exhaustive", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Test whether the tests notice small mistakes in the core; arguments go to tests/mutants."""
    _install(session, "mutants")
    session.run("python", "-m", "tests.mutants", *session.posargs, env=FEW_EXAMPLES)


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Scan real folders: ``nox -s demo -- FOLDER ...``."""
    _install(session, "demo")
    # Ctrl-C is the example's to handle: give it time to cancel its scans.
    session.run("python", "examples/quickstart.py", *session.posargs, interrupt_timeout=30.0)


@nox.session(default=False)
def serve(session: nox.Session) -> None:
    """Run an example server: ``nox -s serve -- flask_app --port 8000``, or ``fastapi_app``."""
    _install(session, "servers")
    with session.chdir("examples"):
        session.run("python", "-m", *session.posargs, interrupt_timeout=30.0)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, check and list what they hold, and import the wheel."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "build"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    artifacts = [str(path) for path in sorted(Path("dist").iterdir())]
    session.run("twine", "check", "--strict", *artifacts)
    wheels = [path for path in artifacts if path.endswith(".whl")]
    session.run("check-wheel-contents", *wheels)
    for path in artifacts:
        session.run("python", "-m", "zipfile" if path in wheels else "tarfile", "-l", path)

    fresh = Path(session.create_tmp(), "fresh").absolute()
    session.run("python", "-m", "venv", "--clear", str(fresh))
    python = str(fresh / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    session.run(python, "-m", "pip", "install", "--quiet", *wheels, external=True)
    session.run(python, "-I", "-c", f"import {PACKAGE}; print({PACKAGE})", external=True)

"""README, pages and docstrings say what is true: their examples run."""

import os
import sys
from pathlib import Path

import pytest

from tests.docs.examples import Story, find_stories

pytestmark = pytest.mark.slow

# The page shows a queue that is shut down when the interpreter exits.
LEAVES_WORKERS = {"docs/how-to/shut-down.md": pytest.mark.scanqueue_leaves_workers}


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=story.name, marks=LEAVES_WORKERS.get(story.name, ()))
        for story in find_stories()
    ],
)
def test_examples_run(
    story: Story,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the documentation shows works, in an empty folder, and prints what it says."""
    # What an example starts finds what this process finds, wherever it starts it.
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    )
    monkeypatch.setenv("CI", "true")  # where hypothesis does not mind a busy machine
    monkeypatch.chdir(tmp_path)
    story.run(printed=lambda: capsys.readouterr().out)

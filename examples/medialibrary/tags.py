"""What audio files say about themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import mutagen

if TYPE_CHECKING:
    from pathlib import Path

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aac", ".aif", ".aifc", ".aiff", ".ape", ".dsf", ".flac", ".m4a", ".m4b", ".mp3", ".mpc",
    ".oga", ".ogg", ".opus", ".tta", ".wav", ".wma", ".wv",
})
# fmt: on

# The formats have their own names for the same things.
TITLE = ("title", "TIT2")
ARTIST = ("artist", "TPE1", "Author")
ALBUM = ("album", "TALB", "WM/AlbumTitle")


class Tags(NamedTuple):
    """The tags of one file; None for what it does not say."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    seconds: float | None = None
    """How long it plays."""


def read_tags(path: Path) -> Tags:
    """Read the tags of an audio file; files of other kinds have none, and are not opened.

    Args:
        path: A regular file.

    Raises:
        Exception: It cannot be read as audio. mutagen raises its own `MutagenError` as a rule,
            and whatever a damaged file drives it to.
    """
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return Tags()
    audio = mutagen.File(path, easy=True)
    if audio is None:
        message = "no audio format that mutagen knows"
        raise ValueError(message)
    return Tags(
        title=_text(audio, TITLE),
        artist=_text(audio, ARTIST),
        album=_text(audio, ALBUM),
        seconds=audio.info.length,
    )


def _text(audio: mutagen.FileType, names: tuple[str, ...]) -> str | None:
    """Return the first value that has one of these names, as text that any database takes."""
    for name in names:
        values = audio.get(name)  # type: ignore[no-untyped-call]  # mutagen has types for a part
        if values:
            return str(values[0]).encode(errors="replace").decode()
    return None

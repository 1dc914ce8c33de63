"""Makes small audio files that are real ones: written here, tagged by mutagen."""
# mypy: disallow_untyped_calls = false
# (mutagen has types for a part of itself)

import wave
from pathlib import Path

from mutagen.easyid3 import EasyID3
from mutagen.flac import FLAC
from mutagen.id3 import TIT2, TPE1
from mutagen.wave import WAVE


def write_mp3(path: Path, title: str = "A title", artist: str = "An artist") -> Path:
    """Write an MP3 file of ten frames of silence (128 kbit/s, 44.1 kHz), about 0.26 seconds."""
    path.write_bytes((b"\xff\xfb\x90\x00" + bytes(413)) * 10)
    tags = EasyID3()
    tags["title"], tags["artist"] = title, artist
    tags.save(path)
    return path


def write_flac(path: Path, title: str = "A title", artist: str = "An artist") -> Path:
    """Write a FLAC file that says it has one second of 44.1 kHz stereo, and no frames."""
    sizes = (4096).to_bytes(2) * 2 + bytes(6)
    # 20 bits of rate, 3 of channels - 1, 5 of bits per sample - 1, 36 of samples
    format_ = (44_100 << 44 | 1 << 41 | 15 << 36 | 44_100).to_bytes(8)
    last_block, checksum = b"\x80\x00\x00\x22", bytes(16)
    path.write_bytes(b"fLaC" + last_block + sizes + format_ + checksum)
    tags = FLAC(path)
    tags["title"], tags["artist"] = title, artist
    tags.save()
    return path


def write_wav(path: Path, title: str = "A title", artist: str = "An artist") -> Path:
    """Write a WAV file of a tenth of a second of silence, with ID3 tags."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(1_600))
    audio = WAVE(path)
    audio.add_tags()
    audio["TIT2"], audio["TPE1"] = TIT2(text=title), TPE1(text=artist)
    audio.save()
    return path

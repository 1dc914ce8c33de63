"""Text made storable: what every store, log and terminal can take."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanqueue._text import ERROR_LIMIT, describe_error, storable

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Lone surrogates too, as Python has them in file names that are not UTF-8."""


class TestStorable:
    """Escapes and cuts."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            pytest.param("", "", id="nothing"),
            pytest.param("plain.flac", "plain.flac", id="ascii"),
            pytest.param("café \U0001f4bf", "café \U0001f4bf", id="unicode"),
            pytest.param("a\nb\tc\0d", "a\\nb\\tc\\x00d", id="c0"),
            pytest.param("\x1b[31mred", "\\x1b[31mred", id="terminal"),
            pytest.param("a\x7fb\x85c", "a\\x7fb\\x85c", id="del-and-c1"),
            pytest.param("caf\udce9", "caf\\xe9", id="undecodable-byte"),
            pytest.param("\ud800", "\\ud800", id="high-surrogate"),
            pytest.param("\udc00", "\\udc00", id="low-surrogate-that-is-no-byte"),
            pytest.param("C:\\new", "C:\\new", id="backslash-stays"),
        ],
    )
    def test_what_cannot_be_shown_is_escaped(self, text: str, shown: str) -> None:
        """As Python would write it, and nothing else is touched."""
        assert storable(text, 100) == shown

    def test_a_file_name_that_is_not_utf_8_is_readable(self) -> None:
        """Its bad bytes are shown, the rest stays."""
        name = os.fsdecode(b"caf\xe9.mp3")
        assert storable(name, 100) == "caf\\xe9.mp3"

    @given(text=ANY_TEXT, limit=st.integers(0, 20))
    def test_the_answer_is_storable_and_short(self, text: str, limit: int) -> None:
        """Valid Unicode without control characters, of at most so many characters."""
        shown = storable(text, limit)
        assert len(shown) <= limit
        assert shown.encode().decode() == shown
        assert not any(unicodedata.category(character) == "Cc" for character in shown)

    @given(text=ANY_TEXT)
    def test_making_storable_twice_changes_nothing(self, text: str) -> None:
        """So that what was stored comes back as it is."""
        once = storable(text, 1000)
        assert storable(once, 1000) == once

    @given(text=ANY_TEXT, limit=st.integers(0, 20))
    def test_a_cut_is_a_prefix(self, text: str, limit: int) -> None:
        """Of what would be shown without a limit."""
        assert storable(text, limit) == storable(text, 1000)[:limit]

    @given(text=st.text().filter(str.isprintable))
    def test_printable_text_stays_as_it_is(self, text: str) -> None:
        """Whatever the script."""
        assert storable(text, 1000) == text


class Mute(Exception):  # noqa: N818 - it says nothing
    """An error whose message cannot be had."""

    def __str__(self) -> str:
        msg = "no"
        raise RuntimeError(msg)


class TestDescribeError:
    """`TypeName: message`."""

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            pytest.param(OSError("disk on fire"), "OSError: disk on fire", id="message"),
            pytest.param(ValueError(), "ValueError", id="no-message"),
            pytest.param(KeyError("a"), "KeyError: 'a'", id="key-error"),
            pytest.param(SystemExit(3), "SystemExit: 3", id="system-exit"),
            pytest.param(OSError("caf\udce9\n"), "OSError: caf\\xe9\\n", id="odd-file-name"),
            pytest.param(
                Mute(), "Mute: (its message cannot be shown: RuntimeError)", id="broken-str"
            ),
        ],
    )
    def test_an_error_is_described_by_type_and_message(
        self, error: BaseException, text: str
    ) -> None:
        """Storable, whatever its own `__str__` does."""
        assert describe_error(error) == text

    def test_a_long_message_is_cut(self) -> None:
        """To 4,096 characters in all."""
        text = describe_error(ValueError("x" * 10_000))
        assert text == "ValueError: " + "x" * (4096 - 12)
        assert ERROR_LIMIT == 4096

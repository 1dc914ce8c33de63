"""Text that every store, log and terminal can take."""

from __future__ import annotations

import re

ERROR_LIMIT = 4096
"""The most characters that the `error` of a task has."""

MESSAGE_LIMIT = 1024
"""The most characters that the `message` of a progress report has."""

# C0, DEL and C1 controls, and the halves of surrogate pairs: U+DC80 to U+DCFF is how Python
# carries an undecodable byte of a file name (PEP 383).
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    byte = ord(match[0]) - 0xDC00
    if byte in range(0x80, 0x100):
        return f"\\x{byte:02x}"
    return match[0].encode("unicode_escape").decode("ascii")


def storable(text: str, limit: int) -> str:
    r"""Show what cannot be stored or printed as an escape, and cut to `limit` characters.

    Undecodable bytes (lone surrogates) and control characters are escaped as Python would
    write them.

    >>> storable("caf\udce9\n", 100)
    'caf\\xe9\\n'
    """
    if text.isascii() and text.isprintable():
        return text[:limit]
    # One character becomes at least one, so nothing behind the limit can come to be before it.
    return _UNSTORABLE.sub(_escape, text[:limit])[:limit]


def describe_error(error: BaseException) -> str:
    """Return `"TypeName: message"`, storable, for whatever a scanner raised.

    An exception whose own `__str__` raises is described by what that raised.
    """
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException as failure:  # noqa: BLE001 - it is the scanner's, and may do anything
        message = f"(its message cannot be shown: {type(failure).__name__})"
    return storable(f"{name}: {message}" if message else name, ERROR_LIMIT)

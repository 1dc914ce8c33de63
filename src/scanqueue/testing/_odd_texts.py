"""Texts that have broken pages, logs and clients somewhere."""

from __future__ import annotations

__all__ = ["MARKUP", "ODD_PARTS", "ODD_TEXTS", "RIGHT_TO_LEFT"]

MARKUP = (
    *("<b>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--", "</td>", "]]>"),
    *('"><b>', "'><b>", "&lt;", "a & b"),
)
"""What a page takes for its own if it is not escaped."""

RIGHT_TO_LEFT = ("\u202eabc", "\u2067abc", "\u05d0\u05d1", "a \u0627\u0644")
"""What turns around what stands beside it."""

ODD_TEXTS = (
    *(
        '"',
        "'",
        'the "a"',
        "it's",
        "`a`",
        "\\",
        "{{7*7}}",
        "${7*7}",
        "%s",
        "{0}",
        "'; DROP TABLE tasks; --",
    ),
    *("\u2028", "\u200b", "\ufeff", "e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
)
"""What is quoted, filled in or not seen where it should be shown."""

ODD_PARTS = (
    *(text for text in (*MARKUP, *RIGHT_TO_LEFT, *ODD_TEXTS) if "/" not in text),
    *("\n", "a\nb", " ", "...", "~", "C:", "a?b=c", "a#b", "%2F", "*", "CON", "x" * 255),
)
"""Names of files and folders that are odd, and allowed."""

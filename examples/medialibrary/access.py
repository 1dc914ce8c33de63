"""Who may ask a media server, and how often; knows no web framework."""

from __future__ import annotations

import hmac
import re
import time
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

if TYPE_CHECKING:
    from collections.abc import Mapping

COOKIE = "mediaserver_session"
COOKIE_AGE = 365 * 24 * 3600
"""Seconds."""
SESSION_PATH = "/api/session"
"""Where the token is exchanged for the cookie."""
MAX_BODY = 256 * 1024
"""Bytes of a request's body."""
MAX_DIGITS = 9
"""Of what says how long it is: Python turns no more than 4,300 into a number."""
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
"""The page runs its own scripts only, should a name in it ever be taken for HTML; and never some of
this version with some of another, since a browser asks whether they are still the same."""


class Headers(Protocol):
    """The headers of a request, whatever the case of their names."""

    def get(self, name: str, /) -> str | None:
        """Return a header, or None; those of one name are one, with commas in between."""


class Refusal(NamedTuple):
    """The answer to a request that is not let in."""

    status: HTTPStatus
    detail: str
    headers: dict[str, str]


class Access:
    """Lets requests in that show the token, come from no other site, and are not too many.

    The seam for accounts of your own: whatever you put here, both servers ask it first.

    Thread-safety: every method may be called from any thread. Each process counts for itself.

    Args:
        token: What clients have to show.
        rate: How often one client may ask for anything but to look, or without the token:
            `"120/minute"`.

    Raises:
        ValueError: `rate` is no such text.
    """

    def __init__(self, token: str, rate: str) -> None:
        self._token = token.encode()
        self._rate = parse(rate)

    @cached_property
    def _limiter(self) -> FixedWindowRateLimiter:
        return FixedWindowRateLimiter(MemoryStorage())  # it starts a thread: not before a fork

    @property
    def cookie(self) -> str:
        """The cookie of those who have shown the token: a hash, that says nothing about it."""
        return hmac.new(self._token, b"session", sha256).hexdigest()

    def is_token(self, token: str) -> bool:
        """Return whether this is the token, in a time that does not tell how much of it is."""
        return hmac.compare_digest(token.encode(errors="surrogatepass"), self._token)

    def refuse(
        self,
        method: str,
        path: str,
        headers: Headers,
        cookies: Mapping[str, str],
        client: str,
    ) -> Refusal | None:
        """Return the answer to a request that is not let in; None: it is.

        Args:
            method: GET, POST and so on.
            path: What is asked for, percent-decoded; whatever has `/api/` in it is guarded, so that
                it does not matter what a proxy has put in front.
            headers: The headers of the request.
            cookies: Its cookies.
            client: Who asks: the address, say.
        """
        if "/api/" not in path:
            return None
        is_known = self._is_known(headers, cookies)
        if method != "GET" and is_cross_site(headers):
            return Refusal(HTTPStatus.FORBIDDEN, "the request comes from another site", {})
        if method not in ("GET", "HEAD") or not is_known:  # nobody may try many tokens
            counter = (client, str(is_known))  # strangers use up no known client's share
            if not self._limiter.hit(self._rate, *counter):
                reset = self._limiter.get_window_stats(self._rate, *counter).reset_time
                wait = {"Retry-After": str(max(1, ceil(reset - time.time())))}
                return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", wait)
        if not is_known and not path.endswith(SESSION_PATH):
            scheme = {"WWW-Authenticate": "Bearer"}
            return Refusal(HTTPStatus.UNAUTHORIZED, "show the token", scheme)
        return refuse_length(headers.get("Content-Length") or "0")

    def _is_known(self, headers: Headers, cookies: Mapping[str, str]) -> bool:
        scheme, _, token = (headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(token.strip()):
            return True
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie.encode())


def refuse_length(text: str) -> Refusal | None:
    """Return the answer to a request whose body has no length, or is too long; None: it is not."""
    if not re.fullmatch("[0-9]+", text):  # or it would be taken for an empty body
        return Refusal(HTTPStatus.BAD_REQUEST, "Content-Length: must be a number", {})
    if len(text) > MAX_DIGITS or int(text) > MAX_BODY:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long", {})
    return None


def is_cross_site(headers: Headers) -> bool:
    """Return whether a browser says that another site, or nobody, has made the request.

    Programs that are no browsers send none of these headers.
    """
    if headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    origin = headers.get("Origin")  # "https://media.example", or "null"
    if origin is None:
        return False
    host = origin.partition("://")[2]
    return not host or host != headers.get("Host")

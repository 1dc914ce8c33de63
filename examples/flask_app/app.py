"""A media server on Flask: its libraries, its page, and the scan queue of `scan_queue`."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from flask import Blueprint, Flask, Response, abort, current_app, request, send_from_directory
from werkzeug.exceptions import HTTPException

from flask_app.scan_queue import (
    InvalidArgument,
    ScanQueue,
    explain_http,
    parameters,
    problem,
    read_number,
    read_object,
)
from medialibrary import PAGE, Catalogue, load_settings, name_libraries, printable
from medialibrary.access import COOKIE, COOKIE_AGE, MAX_BODY, PAGE_HEADERS, Access

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from medialibrary import Settings
    from scanqueue import ScanQueueService

logger = logging.getLogger(__name__)

scan_queue = ScanQueue()
site = Blueprint("site", __name__)


class Media(NamedTuple):
    """What belongs to one application."""

    catalogue: Catalogue
    access: Access


def create_app(settings: Settings | None = None, service: ScanQueueService | None = None) -> Flask:
    """Return a new application; the process that serves it starts its queue.

    Args:
        settings: How to set it up; as the environment says when None.
        service: Its queue; as the settings say when None.
    """
    settings = settings or load_settings()
    media = Media(settings.open_catalogue(), Access(settings.token, settings.rate))
    service = service or settings.make_service(media.catalogue)

    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # no other site may ask what it may do
    app.url_map.merge_slashes = False  # an address has one form
    app.url_map.redirect_defaults = False  # the page is /index.html, too
    app.extensions["media"] = media
    app.before_request(guard)
    app.after_request(protect)
    app.register_error_handler(HTTPException, explain_http)
    app.register_error_handler(sqlite3.Error, explain_catalogue)
    app.register_blueprint(site)
    scan_queue.init_app(
        app,
        service,
        media.catalogue.find_library,
        max_streams=settings.streams,
        triggers=settings.make_triggers(media.catalogue, service),
    )
    return app


def here() -> Media:
    """Return what belongs to the current application."""
    media: Media = current_app.extensions["media"]
    return media


def guard() -> Response | None:
    """Refuse a request that is not let in, before anything else looks at it."""
    refusal = here().access.refuse(
        request.method, request.path, request.headers, request.cookies, request.remote_addr or ""
    )
    if refusal is None:
        return None
    response = problem(refusal.status, refusal.detail)
    response.headers.update(refusal.headers)
    return response


def protect(response: Response) -> Response:
    """Let the page run nothing but its own scripts."""
    response.headers.update(PAGE_HEADERS)
    return response


def explain_catalogue(error: sqlite3.Error) -> Response:
    """Return that the catalogue is busy, or its disk fails; the log says what it is."""
    logger.error("cannot use the catalogue: %r", error)
    return problem(503, "the catalogue cannot be used now")


@site.get("/api/libraries")
def list_libraries() -> ResponseReturnValue:
    """Return the libraries, in order of their names."""
    names = name_libraries(here().catalogue.libraries())
    found = [{"id": library_id, "name": name} for library_id, name in names.items()]
    return sorted(found, key=lambda library: str(library["name"]).casefold())


@site.get("/api/files")
def search_files() -> ResponseReturnValue:
    """Return the files that have a text in their path or their tags."""
    limit = read_number(parameters().get("limit", "50"), 1000)
    found = here().catalogue.search(parameters().get("search", ""), limit)
    return [
        {
            "library_id": library_id,
            "path": printable(file.path),
            "size": file.size,
            "title": file.title,
            "artist": file.artist,
            "album": file.album,
            "seconds": file.seconds,
        }
        for library_id, file in found
    ]


@site.post("/api/session")
def log_in() -> ResponseReturnValue:
    """Give the page a cookie for the token, which it then forgets."""
    token = read_object("token").get("token")
    if not isinstance(token, str):
        raise InvalidArgument("token: must be a string")
    if not here().access.is_token(token):
        abort(401, "this is not the token")
    response = Response(status=204)
    response.set_cookie(
        COOKIE,
        here().access.cookie,
        max_age=COOKIE_AGE,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


@site.delete("/api/session")
def log_out() -> ResponseReturnValue:
    """Take the cookie back."""
    response = Response(status=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return response


@site.get("/", defaults={"name": "index.html"})
@site.get("/<name>")
def show_page(name: str) -> ResponseReturnValue:
    """Return a file of the page."""
    return send_from_directory(PAGE, name)

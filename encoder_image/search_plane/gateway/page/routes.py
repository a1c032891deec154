"""`/` and `/page/…`: a search page of static files, kept in memory, under a policy that lets nothing else in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

_TYPES: Final[Mapping[str, str]] = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "address.js": "text/javascript; charset=utf-8",
    "asking.js": "text/javascript; charset=utf-8",
    "showing.js": "text/javascript; charset=utf-8",
    "comparing.js": "text/javascript; charset=utf-8",
    "facets.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS: Final[Mapping[str, str]] = {
    # Trusted types: the browser itself refuses to make markup out of text, whatever the scripts do.
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Asked for anew each time (304 mostly): while pods of two versions serve, a browser never keeps a mix of them.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def _read(name: str) -> _File:
    content = (files("search_plane.gateway.page") / name).read_bytes()
    return _File(content, _TYPES[name], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _answer(file: _File, request: Request) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if file.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    # Starlette leaves the body out of the answer to HEAD, not its length.
    return Response(file.content, media_type=file.media_type, headers=headers)


def add_page(app: FastAPI) -> None:
    """Adds the page to the gateway's routes. The files are read once; a missing one raises FileNotFoundError."""
    pages = {name: _read(name) for name in _TYPES}

    async def page(request: Request) -> Response:
        return _answer(pages["index.html"], request)

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in pages or name == "index.html":
            raise HTTPException(404, f"the page has no file {name}")
        return _answer(pages[name], request)

    app.add_route("/", page, methods=["GET"], include_in_schema=False)
    app.add_route("/page/{name}", part, methods=["GET"], include_in_schema=False)

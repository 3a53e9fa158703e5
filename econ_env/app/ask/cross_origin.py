"""Lets web pages of chosen origins use a served team (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import re
from collections.abc import Collection

from aiohttp import web

from econ_env.errors import ConfigError

ANY = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(?::\d{1,5})?")
_PREFLIGHT_SECONDS = 600


def check_origins(origins: Collection[str]) -> frozenset[str]:
    """The origins in the spelling of browsers.

    Args:
        origins: Each `http://localhost:3000`, `null` (pages opened from a file), or `*` (every page).

    Raises:
        ConfigError: One is no origin.
    """
    found = set()
    for given in origins:
        origin = given.strip().lower()
        if origin not in (ANY, "null") and _ORIGIN.fullmatch(origin) is None:
            raise ConfigError(
                f"--cors-origin {given!r} is no origin: give scheme, host and port alone, such as "
                "http://localhost:3000, or null for pages opened from a file, or * for every page"
            )
        found.add(origin)
    return frozenset(found)


def allowed(request: web.Request, origins: frozenset[str]) -> str | None:
    """The origin of the page that sends a request, if it may; `None` for other pages, and for programs."""
    origin = request.headers.get("Origin", "").strip()
    return origin if origin and (origin.lower() in origins or ANY in origins) else None


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks what a page may send, before it sends it."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def add_headers(request: web.Request, response: web.StreamResponse, origins: frozenset[str]) -> None:
    """Tell the browser that the page may read the response, if it may; errors too."""
    if not origins:
        return
    response.headers.add("Vary", "Origin")
    origin = allowed(request, origins)
    if origin is None:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    if not is_preflight(request):
        return
    asked = request.headers.get("Access-Control-Request-Headers", "")
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Allow-Headers"] = asked or "Authorization, Content-Type"
    response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        response.headers["Access-Control-Allow-Private-Network"] = "true"

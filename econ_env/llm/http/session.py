"""Opens the HTTP session of a connection: its headers with key and login, its proxy, and whom it trusts."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from econ_env.errors import LLMRequestError
from econ_env.extra import Extra, JsonObject, fill
from econ_env.llm.http.secrets import login_header, remember_secret

if TYPE_CHECKING:
    from aiohttp import ClientSession

_KEEPALIVE_SECONDS = 4.0  # many servers close a connection after 5 s idle


def read_key(variable: str) -> str:
    """The key in an environment variable; empty if there is none.

    Raises:
        LLMRequestError: It can't be sent.
    """
    key = os.environ.get(variable, "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise LLMRequestError(f"the key in {variable} holds characters outside printable ASCII; fix it")
    if key:
        remember_secret(key)
    return key


def all_headers(url: str, key: str, extra: JsonObject) -> dict[str, str]:
    """The headers of all requests: those of the `openai` package, which knows keys, organisations and projects.

    Only its headers are used: its own `post` would take three times the processor time per request.

    Args:
        url: The server's base URL.
        key: Its key; empty for none.
        extra: `llm.extra_headers`, which replace others.

    Raises:
        ConfigError: An environment variable that `extra` names is not set.
    """
    import openai

    login = login_header(url)
    client = openai.AsyncOpenAI(
        base_url=url, api_key=key or "none", default_headers={"Authorization": login} if login else None
    )
    found = {}  # names in any case; the last one wins
    for name, value in [*client.auth_headers.items(), *client.default_headers.items()]:
        if isinstance(value, str):  # other values mark headers that are not sent
            found[name.lower()] = value
    own = fill(Extra(headers=extra))
    for secret in own.secrets:
        remember_secret(secret)
    return found | {name.lower(): value for name, value in own.headers.items()}


def open_session(url: str, headers: dict[str, str], connections: int, *, local: bool) -> ClientSession:
    """A session for many requests at once.

    Args:
        url: The server's base URL.
        headers: Headers of all requests.
        connections: Most connections at once.
        local: Whether the server is in this process, so that no proxy stands between.
    """
    import aiohttp

    verify = _certificates() if url.startswith("https:") else True
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=verify),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None),  # we time attempts ourselves, which also ends a slow drip
        proxy=None if local else _proxy(url),
    )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a server, if any.

    Looked up once: aiohttp's `trust_env` would read the environment and ~/.netrc in a thread at each request.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if proxy is None or proxy_bypass(parts.netloc) else proxy


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Authorities to trust: those that SSL_CERT_FILE or SSL_CERT_DIR names, else those that ship with `certifi`."""
    import certifi

    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=None if named else certifi.where())

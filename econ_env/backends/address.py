"""Makes texts safe to show and to store: credentials are taken out of URLs, keys out of messages."""

from __future__ import annotations

import base64
import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit

from econ_env.errors import ConfigError

KEY_VARIABLES = ("TOGETHER_API_KEY", "OPENAI_API_KEY")

_login_headers: dict[str, str] = {}  # only ever in memory: a pickled client leaves them behind
_secrets: set[str] = set()
_SHORTEST_SECRET = 4  # a shorter one would blot out ordinary words
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def clean_url(url: str) -> str:
    """The base URL of a server, without credentials, with `/v1` where no path is given.

    A user name and password in the URL are remembered for this process and sent as basic authentication.

    Raises:
        ConfigError: It is no http(s) URL, or it carries a query, where keys like to hide.
    """
    shown = _USERINFO.sub("***@", url.partition("?")[0])
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{shown!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{shown!r} is no URL of a server; write for example http://localhost:8000/v1")
    if parts.query or parts.fragment:
        raise ConfigError(f"the URL {shown!r} must end after its path; put a key into OPENAI_API_KEY instead")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{host}:{port}" if port else host
    clean = urlunsplit((parts.scheme, address, parts.path.rstrip("/") or "/v1", "", ""))
    if parts.username is not None or parts.password is not None:
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        _login_headers[clean] = f"Basic {token}"
        for secret in (user, password, token, parts.password or ""):
            remember_secret(secret)
    return clean


def without_login(spec: str) -> str:
    """What `make_llm` understands, safe to store: a URL as `clean_url` leaves it, anything else as it is.

    The login is remembered in this process and those forked from it; others need it in their environment.

    Raises:
        ConfigError: It looks like a URL but is none.
    """
    return clean_url(spec) if "://" in spec else spec


def login_header(url: str) -> str | None:
    """What `Authorization` a cleaned URL's own credentials ask for; `None` if it had none in this process."""
    return _login_headers.get(url)


def remember_secret(value: str) -> None:
    """Have `scrub` take a key out of texts from now on, also when it has left the environment."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def well_formed(text: str) -> str:
    """A text that can be encoded: half of a surrogate pair, as cut JSON leaves it, becomes a replacement character."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def scrub(text: str) -> str:
    """A text in one line without any key, password or login, which can be encoded."""
    values = _secrets | {os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    return " ".join(_USERINFO.sub("***@", well_formed(text)).split())

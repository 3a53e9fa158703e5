"""Keeps logins and keys in memory, and removes them from every text that is written or shown."""

from __future__ import annotations

import base64
import os
import re

KEY_VARIABLES = ("TOGETHER_API_KEY", "OPENAI_API_KEY")
"""Environment variables that hold keys."""

_login_headers: dict[str, str] = {}  # in memory only, never pickled
_secrets: set[str] = set()
_SHORTEST_SECRET = 4  # replacing shorter ones would also hide ordinary words
_USERINFO = re.compile(r"(?<=://)\S*@")  # up to the last @: a password may hold @ and /


def remember_login(url: str, user: str, password: str) -> None:
    """Send this login to the server at a cleaned URL as basic authentication; `scrub` removes it from texts."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    _login_headers[url] = f"Basic {token}"
    for secret in (user, password, token):
        remember_secret(secret)


def hide_login(text: str) -> str:
    """A text with the logins of its URLs replaced by `***`."""
    return _USERINFO.sub("***@", text)


def login_header(url: str) -> str | None:
    """The `Authorization` header for a cleaned URL; `None` if this process saw no login for it."""
    return _login_headers.get(url)


def remember_secret(value: str) -> None:
    """Make `scrub` remove a key from texts, even after the key is removed from the environment."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def well_formed(text: str) -> str:
    """A text that can be encoded: half of a surrogate pair (from truncated JSON) becomes a replacement character."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def scrub(text: str) -> str:
    """A text as one line that can be encoded, without any key, password or login."""
    values = _secrets | {os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    return " ".join(hide_login(well_formed(text)).split())

"""Logins and keys: sent to their servers, never written, shown or pickled."""

from __future__ import annotations

import base64
import os
import re

KEY_VARIABLES = ("TOGETHER_API_KEY", "OPENAI_API_KEY")
"""Environment variables that hold keys."""

_login_headers: dict[str, str] = {}  # only ever in memory: a pickled client leaves them behind
_secrets: set[str] = set()
_SHORTEST_SECRET = 4  # a shorter one would blot out ordinary words
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def remember_login(url: str, user: str, password: str) -> None:
    """Have the server at a cleaned URL sent this login as basic authentication, and `scrub` take it out of texts."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    _login_headers[url] = f"Basic {token}"
    for secret in (user, password, token):
        remember_secret(secret)


def hide_login(text: str) -> str:
    """A text with the logins of its URLs replaced by `***`."""
    return _USERINFO.sub("***@", text)


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
    return " ".join(hide_login(well_formed(text)).split())

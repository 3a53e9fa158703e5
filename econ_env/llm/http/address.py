"""Reads the addresses of servers: one URL or several with weights, without logins and keys."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from econ_env.errors import ConfigError
from econ_env.llm.http.secrets import hide_login, remember_login, remember_secret

_BETWEEN_URLS = re.compile(r",(?=\s*[A-Za-z]+://)")  # a password may hold commas too
_WEIGHT = re.compile(r"\*(\d+\.?\d*|\.\d+)\s*$")


class Address(NamedTuple):
    """Where one of several servers with the same model answers."""

    url: str
    """Its base URL, without credentials."""
    weight: float = 1.0
    """Its share of the calls, in proportion to the others', > 0."""

    def __str__(self) -> str:
        return self.url if self.weight == 1.0 else f"{self.url}*{self.weight:g}"


def read_addresses(spec: str) -> tuple[Address, ...]:
    """One URL or several, as in `http://one:8000/v1,http://two:8000/v1*3`: the second gets three times the calls.

    Raises:
        ConfigError: One of them is no URL, comes twice, or has the weight 0.
    """
    found = []
    for part in _BETWEEN_URLS.split(spec):
        weight = _WEIGHT.search(part)
        url = clean_url(part if weight is None else part[: weight.start()])
        found.append(Address(url, 1.0 if weight is None else float(weight.group(1))))
    urls = [address.url for address in found]
    twice = next((url for url in urls if urls.count(url) > 1), None)
    if twice is not None:
        raise ConfigError(f"the server {twice} is listed twice; give it a weight instead: {twice}*2")
    idle = next((address.url for address in found if address.weight == 0.0), None)
    if idle is not None:
        raise ConfigError(f"the server {idle} has the weight 0 and would never be asked; leave it out")
    return tuple(found)


def clean_url(url: str) -> str:
    """The base URL of a server, without credentials, with `/v1` where no path is given.

    A user name and password in the URL are remembered for this process and sent as basic authentication.

    Raises:
        ConfigError: It is no http(s) URL, or it carries a query, where keys like to hide, or a list's signs.
    """
    shown = hide_login(url.partition("?")[0])
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{shown!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{shown!r} is no URL of a server; write for example http://localhost:8000/v1")
    if parts.query or parts.fragment:
        raise ConfigError(f"the URL {shown!r} must end after its path; put a key into OPENAI_API_KEY instead")
    if set(",*") & set(parts.path):
        raise ConfigError(f"the URL {shown!r} can't be read; write several as http://one/v1,http://two/v1*3")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{host}:{port}" if port else host
    clean = urlunsplit((parts.scheme, address, parts.path.rstrip("/") or "/v1", "", ""))
    if parts.username is not None or parts.password is not None:
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        remember_login(clean, user, password)
        remember_secret(parts.password or "")  # as it was written, percent signs and all
    return clean


def without_login(spec: str) -> str:
    """What `make_llm` understands, safe to store: URLs as `clean_url` leaves them, anything else as it is.

    The login is remembered in this process and those forked from it; others need it in their environment.

    Raises:
        ConfigError: It looks like a URL but is none.
    """
    return ",".join(map(str, read_addresses(spec))) if "://" in spec else spec

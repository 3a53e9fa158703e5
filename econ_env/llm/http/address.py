"""Reads server addresses: one URL or several with weights, or a model's at a server. Logins and keys are removed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from econ_env.errors import ConfigError
from econ_env.llm.http.secrets import hide_login, remember_login, remember_secret

_BETWEEN_URLS = re.compile(r",(?=\s*[A-Za-z]+://)")  # a password may hold commas too
_MODEL_AT_URL = re.compile(r"(?:(?P<name>.+?)@)?(?P<url>https?://.*)", re.IGNORECASE | re.DOTALL)
_WEIGHT = re.compile(r"\*(\d+\.?\d*|\.\d+)\s*$")


class Address(NamedTuple):
    """The address of one server in a pool."""

    url: str
    """Its base URL, without credentials."""
    weight: float = 1.0
    """Its share of the calls relative to the other servers, > 0."""

    def __str__(self) -> str:
        return self.url if self.weight == 1.0 else f"{self.url}*{self.weight:g}"


class ModelAt(NamedTuple):
    """Which model is meant, and where it runs."""

    name: str | None
    """Its name there; `None` for the one that is there."""
    backend: str | None
    """A description of the place for `make_llm`; `None` for the team's own."""


def read_model(text: str) -> ModelAt:
    """Read the name of a model, which may bring a place of its own.

    Args:
        text: A name at the team's backend; `NAME@URL` or a URL, for a server of its own; or `local:FILE.gguf` or
            `hub:ORG/REPO/FILE.gguf`, for a model in this process.
    """
    at_url = _MODEL_AT_URL.fullmatch(text.strip())
    if at_url is not None:
        return ModelAt(at_url["name"], at_url["url"])
    if text.startswith("hub:") or (text.startswith("local:") and text.endswith(".gguf")):
        return ModelAt(None, text)
    return ModelAt(text, None)


def model_without_login(text: str) -> str:
    """The name of a model, safe to store; see `read_model` and `without_login`.

    Raises:
        ConfigError: Its place looks like a URL but is not one.
    """
    name, backend = read_model(text)
    if backend is None or "://" not in backend:
        return text
    return without_login(backend) if name is None else f"{name}@{without_login(backend)}"


@lru_cache(maxsize=64)  # each environment of a run asks again
def read_addresses(spec: str) -> tuple[Address, ...]:
    """One URL or several, as in `http://one:8000/v1,http://two:8000/v1*3`: the second gets three times the calls.

    Raises:
        ConfigError: One of them is not a URL, is listed twice, or has weight 0.
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
        raise ConfigError(f"the server {idle} has weight 0 and would never be used; remove it")
    return tuple(found)


def clean_url(url: str) -> str:
    """The base URL of a server, without credentials; `/v1` is added if it has no path.

    A user name and password in the URL are remembered for this process and sent as basic authentication.

    Raises:
        ConfigError: It is not an http(s) URL, has a query or fragment (it may hold a key), or `,` or `*` in its path.
    """
    shown = hide_login(url.partition("?")[0])
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:  # its text may quote a part of the password
        raise ConfigError(
            f"{shown!r} is not a URL: host or port can't be read; write @ and / in a password as %40 and %2F"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{shown!r} is not the URL of a server; write for example http://localhost:8000/v1")
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
        remember_secret(parts.password or "")  # also in its percent-encoded form
    return clean


def without_login(spec: str) -> str:
    """A description for `make_llm` that is safe to store: URLs are cleaned by `clean_url`, other text is unchanged.

    This process and its forked children remember the login; other processes need it in their environment.

    Raises:
        ConfigError: It looks like a URL but is not one.
    """
    return ",".join(map(str, read_addresses(spec))) if "://" in spec else spec

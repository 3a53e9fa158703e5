"""Defines fields and headers of a user's own for model calls, and fills in values from the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from econ_env.errors import ConfigError

_RESERVED = {
    "model": "coordinator_model and executor_model choose it",
    "messages": "the prompts make them (setting prompts)",
    "temperature": "it is a control (sampling.temperature_min and temperature_max)",
    "top_p": "sampling.top_p_default sets it, or p as a control",
    "min_p": "sampling.min_p sets it",
    "repetition_penalty": "it is a control (sampling.p_min and p_max)",
    "repeat_penalty": "it is a control (sampling.p_min and p_max)",
    "max_tokens": "env_args.reply_max_tokens, commitment_max_tokens and llm.thinking_tokens set it",
    "max_completion_tokens": "env_args.reply_max_tokens, commitment_max_tokens and llm.thinking_tokens set it",
    "seed": "every call has its own",
    "response_format": "env_args.reply_format sets it",
    "n": "every reply is a call of its own",
    "stream": "answers are read whole",
    "logprobs": "they are asked for where they are used",
}
"""Fields of a request's body that are ours, and who sets them."""

_RESERVED_HEADERS = frozenset(("content-type", "content-length", "host", "transfer-encoding", "connection"))
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MEMBER = re.compile(r"coordinator|executors|executor_\d+")
_SECRET_HEADER = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)


class JsonObject(Mapping[str, Any]):
    """A JSON object that can't change, so that settings that hold it are hashable.

    Args:
        values: Values by key: texts, numbers, true, false, null, lists and mappings.

    Raises:
        ValueError: A key is no text, or a value can't be written as JSON.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        found = dict(values or {})
        if not all(isinstance(key, str) for key in found):
            raise ValueError("keys must be text")
        try:
            self._text = json.dumps(found, sort_keys=True, allow_nan=False, default=_plain)
        except (TypeError, ValueError) as error:
            raise ValueError(f"can't be written as JSON: {error}") from None

    def __getitem__(self, key: str) -> Any:
        return self.plain()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain())

    def __len__(self) -> int:
        return len(self.plain())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.plain()!r})"

    def plain(self) -> dict[str, Any]:
        """The object as a new dictionary."""
        found: dict[str, Any] = json.loads(self._text)
        return found

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.plain_serializer_function_ser_schema(cls.plain)
        )

    @classmethod
    def _read(cls, value: Any) -> JsonObject:
        if isinstance(value, JsonObject):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("must hold keys and values")
        return cls(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


class Extra(NamedTuple):
    """What is added to a call, with names of environment variables in place of their values."""

    body: JsonObject = JsonObject()
    """Fields of the request's body."""
    headers: JsonObject = JsonObject()
    """Headers, texts by name."""

    def over(self, other: Extra) -> Extra:
        """These fields and headers, and those of `other` that are not among them."""
        lower = {name.lower() for name in self.headers}
        kept = {name: value for name, value in other.headers.items() if name.lower() not in lower}
        return Extra(JsonObject({**other.body, **self.body}), JsonObject({**kept, **self.headers}))

    def key(self) -> list[dict[str, Any]] | None:
        """Its part of a cache key; `None` if nothing is added. Values from the environment do not count."""
        return [self.body.plain(), self.headers.plain()] if self.body or self.headers else None


NOTHING_EXTRA = Extra()


def check_body(body: JsonObject) -> JsonObject:
    """Extra fields, if none of them is ours.

    Raises:
        ValueError: One is.
    """
    for name in body:
        if name in _RESERVED:
            raise ValueError(f"can't set {name}: {_RESERVED[name]}")
    return body


def check_headers(headers: JsonObject) -> JsonObject:
    """Extra headers, if their names and values can be sent and no secret stands in them.

    Raises:
        ValueError: One is not text, is set by the client, or holds a secret in the open.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header's name")
        if name.lower() in _RESERVED_HEADERS:
            raise ValueError(f"can't set {name}: the client sets it")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ValueError(f"the value of {name} must be a line of ASCII text")
        if _SECRET_HEADER.search(name) and "$" not in value:
            raise ValueError(
                f"{name} may be a secret, and settings are written into results: put its value into an environment "
                "variable and write $NAME"
            )
    return headers


def check_members(members: JsonObject) -> JsonObject:
    """Extra fields and headers by member, each checked.

    Raises:
        ValueError: A member, a field or a header is none.
    """
    for member, given in members.items():
        if not _MEMBER.fullmatch(member):
            raise ValueError(f"{member!r} is no member; give coordinator, executors, or executor_0 and so on")
        if not isinstance(given, Mapping) or not given.keys() <= _CHECKS.keys():
            raise ValueError(f"{member} must hold extra_body, extra_headers, or both")
        for name, values in given.items():
            try:
                _CHECKS[name](JsonObject(values))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{member}.{name} {error}") from None
    return members


_CHECKS = {"extra_body": check_body, "extra_headers": check_headers}


def extra_of(general: Extra, members: JsonObject, role: str, agent: str) -> Extra:
    """What is added to a call.

    Args:
        general: What is added to every call.
        members: `llm.extra_for`.
        role: The purpose of the call; `strategy` and `commitment` are the coordinator's.
        agent: The executor's name; empty for none.
    """
    of_executor, of_coordinator = ("executors", agent), ("coordinator",)
    names = {"executor": of_executor, "strategy": of_coordinator, "commitment": of_coordinator}
    added = general
    for name in names.get(role, of_executor if agent else ()):
        given = members.get(name, {})
        own = Extra(JsonObject(given.get("extra_body")), JsonObject(given.get("extra_headers")))
        added = own.over(added)
    return added


class Filled(NamedTuple):
    """What is added to a call, with the values of environment variables; never written or pickled."""

    body: dict[str, Any]
    """Fields of the request's body."""
    headers: dict[str, str]
    """Headers."""
    secrets: frozenset[str]
    """Values from the environment, which must not be shown."""


def fill(extra: Extra) -> Filled:
    """Replace each `$NAME` or `${NAME}` by that environment variable, and `$$` by a dollar sign.

    Raises:
        ConfigError: A variable is not set, a dollar sign stands alone, or a header gets a value that can't be sent.
    """
    secrets: set[str] = set()

    def filled(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(part, f"{path}.{key}") for key, part in value.items()}
        if isinstance(value, list):
            return [filled(part, path) for part in value]
        if not isinstance(value, str) or "$" not in value:
            return value
        template = Template(value)
        try:
            text = template.substitute(os.environ)
        except KeyError as error:
            raise ConfigError(f"{path} needs the environment variable {error.args[0]}, which is not set") from None
        except ValueError:
            raise ConfigError(f"{path} holds a $ without a name; write $NAME, or $$ for a dollar sign") from None
        secrets.update(os.environ[name] for name in template.get_identifiers())
        return text

    body = filled(extra.body.plain(), "llm.extra_body")
    headers = {name: filled(text, f"llm.extra_headers.{name}").strip() for name, text in extra.headers.items()}
    for name, text in headers.items():
        if not (text.isascii() and text.isprintable()):
            raise ConfigError(f"llm.extra_headers.{name} gets a value outside printable ASCII; fix the variable")
    return Filled(body, headers, frozenset(secrets))

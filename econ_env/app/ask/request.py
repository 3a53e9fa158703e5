"""A client's request, whichever API it came through: what a team is asked, and in which form it must answer."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from econ_env.team.wording import PLAIN, Form, SchemaError

MOST_CHOICES = 8
"""Most answers to one request (`n`)."""
MOST_STOPS = 16
"""Most stop sequences."""

B = TypeVar("B", bound=BaseModel)


class ApiError(Exception):
    """An error response of the protocol.

    Args:
        status: HTTP status.
        message: What is wrong and what to do.
        code: Error name for programs.
        param: The request field that caused the error.
    """

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param

    def body(self) -> dict[str, Any]:
        """The response body that the client gets."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        message = " ".join(self.message.split())
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


def unsupported(what: str, param: str, *, one: bool = False) -> ApiError:
    """The error for a part of the API that a team does not have.

    Args:
        what: Its name in words, such as `tools`.
        param: The request field.
        one: Whether the name is a singular.
    """
    return ApiError(400, f"{what} {'is' if one else 'are'} not supported", "unsupported_parameter", param)


@dataclass(frozen=True)
class Turn:
    """A message of the conversation."""

    role: Literal["system", "user", "assistant"]
    """Who wrote it; `developer` counts as `system`."""
    text: str
    """Its text, stripped."""


@dataclass(frozen=True)
class Asked:
    """What a client wants to know, and how it wants to be told."""

    model: str
    """Name of the model that is asked for."""
    turns: tuple[Turn, ...]
    """The conversation, without empty messages; it holds a question, see `conversation`."""
    form: Form = PLAIN
    """The form of the answer."""
    seed: int | None = None
    """Determines every sample; `None` for the server's."""
    n: int = 1
    """How many answers."""
    stream: bool = False
    """Whether the answer is sent as events."""
    tells_usage: bool = False
    """Whether a stream of chat chunks ends with the token counts."""
    max_tokens: int | None = None
    """Most tokens of a text that is written for this request."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these."""
    temperature: float | None = None
    """Temperature of a text that is written for this request; `None` for the team's."""
    top_p: float | None = None
    """top_p of a text that is written for this request; `None` for the team's."""

    @property
    def question(self) -> str:
        """The text that the team gets as its question: instructions, earlier turns, the last message."""
        system = [turn.text for turn in self.turns if turn.role == "system"]
        said = [turn for turn in self.turns if turn.role != "system"]
        if len(said) == 1:
            return "\n\n".join((*system, said[0].text))
        return "\n\n".join((*system, *(f"{turn.role.capitalize()}: {turn.text}" for turn in said)))


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="ignore")
    type: str
    text: str | None = None
    refusal: str | None = None


_OTHER_PARTS: Mapping[str, str] = {
    "image_url": "images",
    "input_image": "images",
    "image_file": "images",
    "input_audio": "audio",
    "output_audio": "audio",
    "audio": "audio",
    "file": "files",
    "input_file": "files",
    "video_url": "videos",
}
_TEXTS = frozenset({"text", "input_text", "output_text"})


def text_of(content: Any, where: str) -> str:
    """The text of a message's content.

    Args:
        content: A text, a list of parts, or null.
        where: The request field.

    Raises:
        ApiError: It holds something else than text.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ApiError(400, f"{where} must be a text or a list of parts", "invalid_value", where)
    texts = []
    for number, raw in enumerate(content):
        place = f"{where}.{number}"
        if isinstance(raw, str):
            texts.append(raw)
            continue
        part = read(Part, raw, place)
        if part.type in _OTHER_PARTS:
            what = _OTHER_PARTS[part.type]
            raise unsupported(what, place, one=what == "audio")
        if part.type == "refusal":
            texts.append(part.refusal or "")
        elif part.type in _TEXTS and part.text is not None:
            texts.append(part.text)
        else:
            raise ApiError(400, f"{place} must be text, not of type {part.type[:40]!r}", "invalid_value", place)
    return "\n".join(texts)


_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def turn_of(role: Any, content: Any, where: str) -> Turn:
    """A message of a conversation.

    Raises:
        ApiError: Nobody has this role, or the content is not text.
    """
    if role in ("tool", "function"):
        raise unsupported("tools", f"{where}.role")
    if not isinstance(role, str) or role not in _ROLES:
        shown = "missing" if role is None else f"{role!r:.40}"
        raise ApiError(
            400, f"{where}.role must be system, developer, user or assistant; it is {shown}", "invalid_value",
            f"{where}.role",
        )  # fmt: skip
    return Turn(_ROLES[role], text_of(content, f"{where}.content").strip())


def conversation(turns: Sequence[Turn], where: str) -> tuple[Turn, ...]:
    """The messages that say something.

    Raises:
        ApiError: The last one that is not an instruction is not from the user, or a text can't be sent on.
    """
    said = [turn for turn in turns if turn.role != "system"]
    if not said or said[-1].role != "user" or not said[-1].text:
        raise ApiError(400, "the last message must have role user and hold a question", "no_question", where)
    for turn in turns:
        check_text(turn.text, where)
    return tuple(turn for turn in turns if turn.text)


def check_text(text: str, where: str) -> str:
    """The text, if it can be sent on.

    Raises:
        ApiError: It holds half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(400, f"{where}: the text has half of a surrogate pair", "invalid_value", where) from None
    return text


class _JsonSchema(BaseModel):
    """A schema, as both APIs give it."""

    name: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")


class FormatBody(BaseModel):
    """`response_format` of chat completions, and `text.format` of responses."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")


def form_of(wished: FormatBody | None, where: str) -> Form:
    """The form that a request asks for.

    Raises:
        ApiError: The schema is missing, or no valid one.
    """
    if wished is None or wished.type == "text":
        return PLAIN
    if wished.type == "json_object":
        return Form("json_object")
    schema = wished.schema_ if wished.json_schema is None else wished.json_schema.schema_
    if schema is None:
        raise ApiError(400, f"{where} has type json_schema and needs a schema", "invalid_value", where)
    try:
        form = Form.of_schema(schema)
        check_text(json.dumps(schema, ensure_ascii=False), where)
        return form
    except SchemaError as error:
        raise ApiError(400, f"{where}: {error}", "invalid_json_schema", where) from None


Stops = tuple[Annotated[str, Field(min_length=1)], ...]


class Sampling(BaseModel):
    """The fields on sampling and parts of the API that chat completions and responses share."""

    model: str
    stream: bool | None = None
    seed: Annotated[int, Field(strict=True)] | None = None
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    top_p: float | None = Field(None, ge=0.0, le=1.0)
    stop: Annotated[Stops, Field(max_length=MOST_STOPS)] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    top_logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        if isinstance(value, str):
            return (value,) if value else None
        return [stop for stop in value if stop != ""] if isinstance(value, list) else value

    def refuse(self) -> None:
        """Refuse what a team can't do.

        Raises:
            ApiError: The first such field, in words.
        """
        if self.tools:
            raise unsupported("tools", "tools")
        if self.tool_choice not in (None, "none", "auto"):
            raise unsupported("tools", "tool_choice")
        if self.top_logprobs:
            raise unsupported("logprobs", "top_logprobs")
        if self.frequency_penalty:
            raise unsupported("frequency_penalty", "frequency_penalty", one=True)
        if self.presence_penalty:
            raise unsupported("presence_penalty", "presence_penalty", one=True)
        if self.logit_bias:
            raise unsupported("logit_bias", "logit_bias", one=True)


def read(model: type[B], values: Any, where: str = "", *, unions: Collection[str] = ()) -> B:
    """Read a part of a request.

    Args:
        model: Its fields.
        values: What the client sent.
        where: Its place in the request; empty for the whole body.
        unions: Names that pydantic adds to the place of an error, and clients do not know.

    Raises:
        ApiError: It does not fit; the message names the first field that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        inner = [str(part) for part in first["loc"] if part not in unions]
        place = ".".join([where, *inner] if where else inner) or None
        raise ApiError(400, f"{place or 'the body'}: {first['msg']}", "invalid_value", place) from None


def read_json(raw: bytes) -> Any:
    """The body of a request.

    Raises:
        ApiError: It is not JSON.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not valid JSON", "invalid_json") from None

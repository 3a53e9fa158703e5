"""The OpenAI chat protocol for a served team: reads requests, and writes answers and error responses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from econ_env.app.ask.solver import Solution, readable
from econ_env.control_names import further_of, shown_values
from econ_env.records import Commitment, Round, Usage


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
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class _Part(BaseModel):
    type: Literal["text"]
    text: str


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _ResponseFormat(BaseModel):
    type: Literal["text"]


class ChatRequestBody(BaseModel):
    """The request fields that are used; other fields have no effect."""

    model: str
    messages: list[_Message] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    tools: list[Any] | None = Field(None, max_length=0)
    functions: list[Any] | None = Field(None, max_length=0)
    logprobs: Literal[False] | None = None
    response_format: _ResponseFormat | None = None

    @property
    def tells_usage(self) -> bool:
        """Whether a stream must end with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def question(self) -> str:
        """The text that the team gets as its question.

        Raises:
            ApiError: The last message is not from the user, or is empty.
        """
        *before, last = self.messages
        if last.role != "user" or not last.text.strip():
            raise ApiError(400, "the last message must have role user and hold a question", "no_question", "messages")
        system = [message.text for message in before if message.role in ("system", "developer")]
        turns = [f"{m.role.capitalize()}: {m.text}" for m in before if m.role in ("user", "assistant")]
        asked = f"User: {last.text}" if turns else last.text
        return "\n\n".join(part.strip() for part in (*system, *turns, asked))


def read_request(raw: bytes) -> ChatRequestBody:
    """Read a request from its body.

    Raises:
        ApiError: It is not JSON, or asks for something that is not supported.
    """
    try:
        return ChatRequestBody.model_validate(json.loads(raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        raise ApiError(400, f"{where or 'the body'}: {first['msg']}", "invalid_value", where) from None
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not valid JSON", "invalid_json") from None


def completion(head: dict[str, Any], done: Solution) -> dict[str, Any]:
    """The response body for an answer without streaming.

    Args:
        head: `id`, `created` and `model`.
        done: The team's solution.
    """
    message = {"role": "assistant", "content": _text(done), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    body = {**head, "object": "chat.completion", "choices": [choice]}
    return {**body, "usage": _usage(done), "econ": _details(done)}


def chunks(head: dict[str, Any], done: Solution, *, usage: bool) -> Iterator[bytes]:
    """The same answer as server-sent events, one line of text per event.

    Args:
        head: As in `completion`.
        done: As in `completion`.
        usage: Whether the last event has the token counts.
    """

    def event(**part: Any) -> bytes:
        return f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **part})}\n\n".encode()

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]

    yield event(choices=choice({"role": "assistant", "content": ""}))
    for line in _text(done).splitlines(keepends=True):
        yield event(choices=choice({"content": line}))
    yield event(choices=choice({}, "stop"), econ=_details(done))
    if usage:
        yield event(choices=[], usage=_usage(done))
    yield b"data: [DONE]\n\n"


def _text(done: Solution) -> str:
    return readable(done.answer.rounds[-1].commitment)


def _usage(done: Solution) -> dict[str, Any]:
    usage = done.answer.episode.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_prompt_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.thought_tokens},
    }


def _details(done: Solution) -> dict[str, Any]:
    """How the team found its answer."""
    answer = done.answer
    strategy = answer.episode.strategy
    total = sum(answer.usage.values(), Usage())
    return {
        "answer": answer.rounds[-1].commitment.answer,
        "strategy": None if strategy is None else strategy.text,
        "rounds": [_round(round_, further_of(answer.episode.controls)) for round_ in answer.rounds],
        "stop_reason": answer.stop_reasons[-1],
        "residuals": list(answer.residuals),
        "gap": answer.gap,
        "tokens": {role: part.tokens for role, part in answer.usage.items()},
        "calls": total.calls,
        "cache_hits": total.cache_hits,
        "seconds": round(done.seconds, 3),
    }


def _round(round_: Round, further: Sequence[str]) -> dict[str, Any]:
    return {
        "replies": [
            {
                "agent": reply.agent,
                **shown_values(reply.controls, further),
                "status": reply.status,
                "text": reply.text,
                "answer": reply.answer,
                "error": reply.error,
            }
            for reply in round_.replies
        ],
        "clusters": [{"agents": list(part.agents), **_commitment(part.commitment)} for part in round_.clusters],
        "commitment": _commitment(round_.commitment),
    }


def _commitment(made: Commitment) -> dict[str, Any]:
    return {"text": made.text, "answer": made.answer, "source": made.source, "error": made.error}

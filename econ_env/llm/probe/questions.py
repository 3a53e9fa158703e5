"""The questions of a probe: short, without a right answer, so that sampling shows in the replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from econ_env.llm.protocol import ChatRequest, Message

WORDS = (Message("user", "Write eight random English words on one line, without any explanation."),)
"""Many replies are possible, so that samples differ."""
APPLES = (Message("user", "Write the word apple twenty times on one line, with spaces between."),)
"""The likely reply repeats itself, so that a penalty changes it."""
COLOUR = (Message("user", "Tell me about one colour in a few words."),)
"""Nothing asks for JSON, so that JSON comes only from the schema."""
SUM = (Message("user", "What is 17 + 25? Explain it in two sentences."),)

COLOUR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}
SHORT, LONG, JSON_LENGTH, CUT = 24, 60, 60, 6
"""Most tokens of the replies to `WORDS`, to `APPLES`, to `COLOUR`, and of a reply that is to be cut."""

PROMPT_TOKENS = 32
"""Tokens of a question, about, with its chat template."""


def question(messages: tuple[Message, ...], tokens: int, seed: int) -> ChatRequest:
    """A request with neutral controls, which is asked anew even if the cache has it."""
    return ChatRequest(
        messages=messages,
        model="",
        temperature=1.0,
        repetition_penalty=1.0,
        top_p=1.0,
        max_tokens=tokens,
        seed=seed,
        bypass_cache=True,
        role="other",
        agent="executor_0",
    )


def several(request: ChatRequest, count: int, first: int) -> list[ChatRequest]:
    """The request with `count` seeds of its own."""
    return [replace(request, seed=1_000_003 * (first + number) % 2**31) for number in range(count)]

"""Reads the message of a chat completion: what the model thought, and what it says.

Servers send thought in a field of its own, as a part of the content, or in tags inside the content; some in several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from econ_env.answers.thought import Parted, split_thought

_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Fields of a message with thought; where a server fills several, they say the same. The first is that of DeepSeek,
SGLang and llama.cpp, the second of newer vLLM, Together and Ollama, the last of OpenRouter."""
_THOUGHT_PARTS = frozenset(("thinking", "reasoning", "thought", "reasoning.text", "reasoning.summary"))
_SAID_PARTS = frozenset(("text", "output_text"))
_TEXT_FIELDS = ("text", "thinking", "reasoning", "summary", "content")
_LIMIT_REASONS = frozenset(("length", "max_tokens", "max_output_tokens", "model_length"))


def read_message(message: Mapping[str, Any]) -> Parted | None:
    """What a message's author thought and says; `None` if it has neither text nor thought.

    Args:
        message: The message of a choice, as the server sends it.
    """
    content = message.get("content")
    said = _texts(content, _SAID_PARTS)
    pieces = [_first(_texts(message.get(name)) for name in _THOUGHT_FIELDS)]
    if isinstance(content, list):
        pieces.append(_texts(content, _THOUGHT_PARTS))
    if said is None and not any(pieces):
        return None
    inside = split_thought(said or "")
    pieces.append(inside.thought)
    thought = "\n\n".join(piece.strip() for piece in pieces if piece and piece.strip())
    return Parted(thought, inside.said.strip() if inside.said != said else inside.said)


def ran_out(finish_reason: Any) -> bool:
    """Whether a model stopped because it reached its limit of tokens."""
    return isinstance(finish_reason, str) and finish_reason.lower() in _LIMIT_REASONS


def _first(found: Iterable[str | None]) -> str | None:
    return next((text for text in found if text and text.strip()), None)


def _texts(value: Any, kinds: frozenset[str] | None = None, depth: int = 4) -> str | None:
    """The text of a field that is text, an object with a text, or a list of them; `None` if there is none.

    Args:
        value: The field.
        kinds: Which objects of a list count, by their `type`; `None` for all.
        depth: How deep lists and objects may be nested; deeper ones are left out.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and depth:
        return _first(_texts(value.get(name), depth=depth - 1) for name in _TEXT_FIELDS)
    if not isinstance(value, list) or not depth:
        return None
    if kinds is not None:
        value = [part for part in value if isinstance(part, Mapping) and part.get("type") in kinds]
    texts = [text for part in value if (text := _texts(part, depth=depth - 1)) is not None]
    return "".join(texts) if texts else None

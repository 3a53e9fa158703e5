"""Reads how likely a model found its own tokens, from the log-probabilities that a server sends with a reply.

Servers send those of the sampled tokens in two shapes: that of chat completions, `content: [{token, bytes, logprob}]`,
and that of the older completions, `tokens` and `token_logprobs` (Together). Most compute them before temperature and
penalties change the distribution. Only the tokens of what the model says count, not those of its thought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from econ_env.answers.thought import split_thought
from econ_env.records import Confidence

FLOOR = -20.0
"""Lowest log-probability of a token that counts, in nats; lower ones are raised to it. A token drawn blindly from
260,000 has -12.5. Servers send -9999 or less for tokens outside their list of likely ones."""
WINDOW = 16
"""Tokens of a group, about a line of a calculation, and a sixteenth of the longest reply by default (256 tokens).
DeepConf's groups of 2048 tokens are for long thought; replies of executors are shorter than one of those."""


class _Token(NamedTuple):
    written: bytes
    """Its text; empty if unknown."""
    logprob: float | None
    """In nats, between `FLOOR` and 0; `None` if the server gives none."""


def confidence_of(logprobs: Sequence[float]) -> Confidence | None:
    """The confidence of a text from its tokens' log-probabilities; `None` for an empty list.

    Args:
        logprobs: In nats, each <= 0, in the order of the text.
    """
    if not logprobs:
        return None
    sums = [0.0, *accumulate(max(value, FLOOR) for value in logprobs)]
    count = len(logprobs)
    width = min(WINDOW, count)
    mean = sums[-1] / count
    lowest = min((sums[start + width] - sums[start]) / width for start in range(count - width + 1))
    return Confidence(mean, min(lowest, mean), count)  # the ends of a text are in fewer groups than its middle


def read_confidence(logprobs: Any, said: str, *, thinks: bool) -> Confidence | None:
    """The confidence of what a model says; `None` if the server sends nothing that can be read.

    Tokens without a number do not count. The list may be shorter than the text, or hold tokens of thought and end
    marks besides it.

    Args:
        logprobs: The field `logprobs` of a choice, as the server sends it.
        said: What the model says.
        thinks: Whether it thought before. Thought that can't be told from the rest makes the confidence unknown.
    """
    tokens = _tokens(logprobs)
    counted = _of_said(tokens, said.strip(), thinks)
    return confidence_of([token.logprob for token in counted if token.logprob is not None])


def _tokens(logprobs: Any) -> list[_Token]:
    if not isinstance(logprobs, Mapping):
        return []
    rows = logprobs.get("content")
    if isinstance(rows, list):
        found = [row if isinstance(row, Mapping) else {} for row in rows]
        return [_Token(_written(row.get("bytes"), row.get("token")), _number(row.get("logprob"))) for row in found]
    numbers, texts = logprobs.get("token_logprobs"), logprobs.get("tokens")
    if not isinstance(numbers, list):
        return []
    texts = texts if isinstance(texts, list) and len(texts) == len(numbers) else [None] * len(numbers)
    return [_Token(_written(None, text), _number(number)) for text, number in zip(texts, numbers, strict=True)]


def _written(encoded: Any, text: Any) -> bytes:
    """A token's text; its bytes where they are given, because a character may take several tokens."""
    if isinstance(encoded, list) and encoded and all(type(byte) is int and 0 <= byte < 256 for byte in encoded):
        return bytes(encoded)
    return text.encode("utf-8", "replace") if isinstance(text, str) else b""


def _number(value: Any) -> float | None:
    """A log-probability, `None` for anything else; a rounding error above 0 is 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value < 0.01:  # NaN is not below either
        return None
    return float(max(FLOOR, min(0.0, value)))  # the number may be too large for a float


def _of_said(tokens: Sequence[_Token], said: str, thinks: bool) -> Sequence[_Token]:
    """The tokens of what the model says; none if that can't be told."""
    whole = b"".join(token.written for token in tokens)
    part = said.encode("utf-8", "replace")
    place = whole.rfind(part) if part else -1
    if place < 0 and thinks:  # the list may be shorter than the text, with or without the thought
        part = split_thought(whole.decode("utf-8", "replace")).said.strip().encode("utf-8", "replace")
        place = whole.rfind(part) if part and said.encode("utf-8", "replace").startswith(part) else -1
    if place < 0:
        return () if thinks else tokens
    ends = list(accumulate(len(token.written) for token in tokens))
    return [
        token
        for token, end in zip(tokens, ends, strict=True)
        if end > place and end - len(token.written) < place + len(part)
    ]

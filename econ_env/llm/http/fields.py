"""The fields of a request that not every server takes: their names, and what a server refused, learned by model.

A server may refuse a field for one model and take it for another (hosted models that think refuse `temperature`), so
everything is learned per server and model.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

logger = logging.getLogger(__name__)

PENALTY_FIELDS = ("repetition_penalty", "repeat_penalty")
"""Field names of the repetition penalty: first for vLLM and Together, second for llama.cpp and Ollama."""

SAMPLER_ORDER = ("penalties", "temperature", "min_p", "top_k", "top_p")
"""llama.cpp's names of its samplers in the order in which vLLM applies them; by default it applies temperature last.
Source: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (`samplers`)."""

WHOLE_CONTEXT = 131_072
"""Tokens over which llama.cpp is asked to apply its penalty, more than most contexts have; by default it looks at 64.
Other servers look at all. -1 does not mean the whole context in every version."""

SAMPLER_FIELDS: dict[str, Any] = {
    "top_k": -1,
    "samplers": list(SAMPLER_ORDER),
    "repeat_last_n": WHOLE_CONTEXT,
}
"""Fields that make the same controls mean the same distribution at every server that knows them, with their values: no
top_k, temperature before top_p, and a penalty over the whole context."""

LENGTH_FIELDS = ("max_tokens", "max_completion_tokens")
"""Names of the limit of generated tokens: where the first is refused, the second is sent."""

LOCAL_ONLY = frozenset(("samplers", "repeat_last_n"))
"""Fields of llama.cpp alone: a server that refuses one of them knows neither."""

NON_STANDARD = (*PENALTY_FIELDS, *SAMPLER_FIELDS, "min_p")
"""Fields that OpenAI's own API does not have. Where a server refuses a request without saying why, it is sent once
without them."""

OPTIONAL_FIELDS = (*NON_STANDARD, "response_format", "seed", "logprobs", "temperature", "top_p", "max_tokens")
"""Fields that are omitted, or renamed, when a server refuses them."""


class RefusedFieldError(Exception):
    """A server refuses fields of a request.

    Attributes:
        fields: Their names in the request's body.
        guessed: Whether the server did not say clearly that it refuses them, so that only a request without them shows
            it.
    """

    def __init__(self, text: str, fields: Iterable[str], *, guessed: bool = False) -> None:
        super().__init__(text)
        self.fields = frozenset(fields)
        self.guessed = guessed


class KnownFields:
    """What one server was seen to refuse, by model.

    Args:
        where: The server's name, for messages.
        penalty_fields: Field names for the repetition penalty at this server.
    """

    def __init__(self, where: str, penalty_fields: Collection[str]) -> None:
        self._where = where
        self._penalty_fields = penalty_fields
        self._refused: dict[str, frozenset[str]] = {}

    def refused(self, model: str) -> frozenset[str]:
        """Fields that the server has refused for a model."""
        return self._refused.get(model, frozenset())

    def learn(self, model: str, fields: Collection[str], said: str) -> None:
        """Leave fields out of all later requests for a model, and say once what this means.

        Args:
            model: The model.
            fields: The refused fields.
            said: The server's refusal.
        """
        known = self.refused(model)
        new = frozenset(fields) - known
        if LOCAL_ONLY & new:
            new |= LOCAL_ONLY - known
        if not new:
            return  # another request in flight already reported it
        self._refused[model] = known | new
        named = ", ".join(name for name in OPTIONAL_FIELDS if name in new)
        effects = "; ".join(self._effects(model, new))
        logger.warning(
            "%s: %s of %s %s left out from now on%s (%s)",
            self._where,
            named,
            model,
            "is" if len(new) == 1 else "are",
            f": {effects}" if effects else "",
            said,
        )

    def effects(self, model: str) -> tuple[str, ...]:
        """What the refusals of a model mean for its users, a sentence each."""
        return tuple(self._effects(model, self.refused(model)))

    def dead(self, model: str) -> tuple[str, ...]:
        """Controls that have no effect, because the server refuses them."""
        refused = self.refused(model)
        found = [name for name in ("temperature", "top_p") if name in refused]
        return (*found, *(["repetition_penalty"] if refused.issuperset(self._penalty_fields) else ()))

    def _effects(self, model: str, new: Collection[str]) -> Iterable[str]:
        if "temperature" in new:
            yield (
                f"TEMPERATURE HAS NO EFFECT on {model} there, and learning it learns nothing: choose another model, or "
                "set the server so that it takes one (hosted models that think often do not)"
            )
        if "top_p" in new:
            yield "top_p has no effect there; keep sampling.second_action: repetition_penalty"
        if self.refused(model).issuperset(self._penalty_fields) and not frozenset(new).isdisjoint(self._penalty_fields):
            yield (
                "THE REPETITION PENALTY HAS NO EFFECT there, and learning it learns nothing: let p set top_p "
                "(sampling.second_action: top_p)"
            )
        if "max_tokens" in new:
            yield "max_completion_tokens is sent in its place"
        if "seed" in new:
            yield "answers are not repeatable"
        if "response_format" in new:
            yield "only prompts ask for JSON"
        if "logprobs" in new:
            yield "replies have no confidence"
        if "min_p" in new:
            yield "sampling.min_p has no effect there"
        if "top_k" in new:
            yield "the server's own top_k stays"

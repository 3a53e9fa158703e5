"""The replies of a server whose controls are known to have an effect, or none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from econ_env.errors import LLMRequestError
from econ_env.testing.faulty_server import RawAnswer


def sampler(
    ignores: Collection[str] = (),
    refuses: Collection[str] = (),
    penalty: str = "repetition_penalty",
    thinks: bool = False,
) -> Callable[[Mapping[str, Any]], RawAnswer]:
    """A reply of a server that draws words; it ignores some fields, and refuses others."""
    draws = random.Random(9)

    def reply(body: Mapping[str, Any]) -> RawAnswer:
        for name in refuses:
            if name in body:
                raise LLMRequestError(f"Unrecognized request argument supplied: {name}")
        given = {name: value for name, value in body.items() if name not in ignores}
        draw = random.Random(given["seed"]) if "seed" in given else draws
        many = 1 + round(40 * given.get("temperature", 1.0) ** 2)
        if given.get("top_p", 1.0) < 0.5 or given.get("min_p", 0.0) > 0.5:
            many = 1
        p = given.get(penalty, 1.0)
        first = 1000 if p > 1.2 else 0
        words = [str(first + draw.randrange(many)) for _ in range(12)]
        most = given.get("max_tokens", given.get("max_completion_tokens", 1000))
        text, finish = " ".join(words[:most]), "length" if most < 12 else "stop"
        if "response_format" in given:
            text, finish = json.dumps({"colour": "red", "warm": True}), "stop"
        message: dict[str, Any] = {"content": text}
        usage: dict[str, Any] = {"completion_tokens": min(most, 12)}
        if thinks:
            message["reasoning_content"] = "Let me see."
            usage = {"completion_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 3}}
        logprobs = {"content": [{"token": text, "logprob": -0.5}]} if given.get("logprobs") else None
        return RawAnswer(message, finish, usage=usage, logprobs=logprobs)

    return reply

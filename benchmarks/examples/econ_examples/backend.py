"""A model backend: a model that adds two numbers, with more errors at higher temperatures."""

import json
import random
import re
from collections import Counter

from econ_env import ChatRequest, Completion, LLMInfo
from econ_env.config import LLMConfig
from econ_env.errors import LLMReplyError
from econ_env.records import Usage
from econ_env.testing import check_llm


class Abacus:
    """Reads the task from `request.role`; a real model would get only `request.messages`."""

    def __init__(self, config: LLMConfig, model: str | None) -> None:
        self.info = LLMInfo("abacus", model or "abacus", where="", json_mode=True, small=True)

    async def complete(self, request: ChatRequest) -> Completion:
        """A plan, a sum, or the most frequent answer of the solutions."""
        asked = request.messages[-1].content
        text = "Add both numbers." if request.role == "strategy" else self._answer(asked, request)
        tokens = sum(len(message.content.split()) for message in request.messages)
        return Completion(text, "stop", self.info.model, Usage(1, tokens, len(text.split())))

    def _answer(self, asked: str, request: ChatRequest) -> str:
        said = re.findall(r'(?:answer is |"answer": ")(\d+)', asked)
        numbers = re.search(r"(\d+) \+ (\d+)", asked)
        if request.role == "commitment" and said:
            answer = int(Counter(said).most_common(1)[0][0])
        elif numbers is not None:
            draw = random.Random(f"{request.seed} {request.sample_index} {asked}").random()
            answer = int(numbers[1]) + int(numbers[2]) + (draw < request.temperature / 3.0)
        else:
            raise LLMReplyError("the abacus can only add two numbers: ask for A + B")
        if request.json_schema is not None:
            return json.dumps({"reasoning": "I add them.", "answer": str(answer)})
        return f"I add them. The answer is {answer}."

    async def aclose(self) -> None:
        """Nothing to release."""


if __name__ == "__main__":
    check_llm(lambda: Abacus(LLMConfig(), None))

"""Provides a stand-in for a model: it answers from your function or list, and raises when the list ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from econ_env.errors import LLMReplyError
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo
from econ_env.records import Usage

Script = Callable[[ChatRequest], str] | Iterable[str]


class ScriptedLLM:
    """Answers each request with a function of it, or with the next text of a list; records all requests.

    Args:
        script: A function from a request to a text, which may raise an `LLMError`, or the texts in order of the calls.
        small: Whether it counts as a small model; `reply_format: auto` asks small models for text.
    """

    def __init__(self, script: Script, *, small: bool = True) -> None:
        self._function = script if callable(script) else None
        self._texts: Iterator[str] = iter(()) if callable(script) else iter(script)
        self.info = LLMInfo(backend="scripted", model="scripted", where="", json_mode=False, small=small)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> Completion:
        """The script's text; one token is counted per word.

        Raises:
            LLMReplyError: The list has ended.
        """
        self.requests.append(request)
        if self._function is not None:
            text = self._function(request)
        else:
            following = next(self._texts, None)
            if following is None:
                raise LLMReplyError(f"the script has ended after {len(self.requests) - 1} calls; give it more texts")
            text = following
        prompt = sum(len(message.content.split()) for message in request.messages)
        usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=len(text.split()))
        return Completion(text=text, finish_reason="stop", model="scripted", usage=usage)

    async def aclose(self) -> None:
        """Nothing to release."""

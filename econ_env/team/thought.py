"""Takes the thought out of a model's text before the team uses the text."""

from __future__ import annotations

from dataclasses import replace

from econ_env.answers import split_thought
from econ_env.errors import LLMReplyError
from econ_env.llm.protocol import Completion

THOUGHT_KEPT = 20_000
"""Characters of a call's thought that records keep: about 5,000 tokens."""


def without_thought(done: Completion) -> Completion:
    """A completion whose text is only what the model says; of its thought, the first `THOUGHT_KEPT` characters stay.

    Raises:
        LLMReplyError: It says nothing.
    """
    inside, said = split_thought(done.text)
    text = done.text if said == done.text else said.strip()
    thought = "\n\n".join(filter(None, (done.thought, inside)))
    if thought and not text.strip():
        error = LLMReplyError("the model wrote only thought; let it think less, or raise its limit of tokens")
        error.usage = replace(done.usage, calls=0)
        raise error
    if len(thought) > THOUGHT_KEPT:
        thought = f"{thought[:THOUGHT_KEPT]}…"
    return replace(done, text=text, thought=thought) if (text, thought) != (done.text, done.thought) else done

"""A prompt set with very few words. It keeps the headings that the simulated model uses to find the question."""

from collections.abc import Sequence

from econ_env.llm import Message
from econ_env.team import PLAN_HEADING, QUESTION_HEADING, REPLIES_HEADING, ReplyFormat
from econ_env.testing import check_prompt_set

END = {
    "text": "End with: The answer is X.",
    "json": 'Reply with JSON: {"reasoning": "...", "answer": "X"}.',
}


class Terse:
    """No examples, one system sentence, one message."""

    name = "terse-v1"

    def strategy(self, question: str, tokens: int) -> tuple[Message, ...]:
        """Asks for a plan."""
        return self._ask(f"Plan the solution without calculating. At most {tokens} tokens.", question)

    def executor(
        self, question: str, strategy: str | None, last_answer: str | None, form: ReplyFormat
    ) -> tuple[Message, ...]:
        """Asks for a reply."""
        parts = [f"{PLAN_HEADING}{strategy}"] if strategy else []
        parts += [f"The team's last answer: {last_answer}"] if last_answer is not None else []
        return self._ask(f"Solve the problem. {END[form]}", question, *parts)

    def commitment(self, question: str, replies: Sequence[str], form: ReplyFormat) -> tuple[Message, ...]:
        """Asks for one answer from several replies."""
        return self._ask(f"Decide which solution is right. {END[form]}", question, *_numbered(replies))

    def debate(
        self, question: str, said: Sequence[str | None], heard: Sequence[Sequence[str]], form: ReplyFormat
    ) -> tuple[Message, ...]:
        """Asks again, with all earlier replies below the question."""
        parts = []
        for own, others in zip(said, heard, strict=True):
            parts += [f"You said: {own}"] if own is not None else []
            parts += _numbered(others)
        return self._ask(f"Solve the problem. {END[form]}", question, *parts)

    def _ask(self, system: str, question: str, *parts: str) -> tuple[Message, ...]:
        return Message("system", system), Message("user", "\n\n".join([f"{QUESTION_HEADING}{question}", *parts]))


def _numbered(replies: Sequence[str]) -> list[str]:
    return [f"{REPLIES_HEADING}{number}: {reply}" for number, reply in enumerate(replies, start=1)]


if __name__ == "__main__":
    check_prompt_set(Terse())

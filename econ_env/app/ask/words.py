"""Finds the words in which a client gets a team's answer: the team's own, or those that the request asks for.

The team has decided before: the words never change the answer. A text is written for a request that asks for a form
(JSON, fields, a sentence of its own), by the coordinator's model. It must fit the form and still say the answer; if it
does not, it is asked for once more. Then text falls back to the team's own words, and JSON is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from econ_env.answers import judging
from econ_env.app.ask.request import ApiError, Asked
from econ_env.app.ask.solver import Solution, readable
from econ_env.errors import LLMContextError, LLMError
from econ_env.llm import background
from econ_env.llm.seeding import derive_seed
from econ_env.recorded.team import RecordedTeam
from econ_env.records import Usage
from econ_env.team.rounds import Team
from econ_env.team.votes import stated
from econ_env.team.wording import PLAIN, SchemaError, asks_for_form, carries, repeats_prompt, unfenced, wording

MOST_TOKENS = 1024
"""Most tokens of a written text."""
ATTEMPTS = 2

Policy = Literal["auto", "always", "never"]
"""When a text is written for a request: if it asks for a form, always, or never."""


@dataclass(frozen=True)
class Words:
    """What a client gets to read."""

    text: str
    """The text, ended at a stop sequence."""
    written: bool
    """Whether it was written for the request; otherwise it is the team's own."""
    finish_reason: Literal["stop", "length"] = "stop"
    """`length` if the model reached its limit of tokens."""
    usage: Usage = field(default_factory=Usage)
    """What writing cost, also attempts that could not be used."""
    error: str | None = None
    """Why the team's own words are used although a form was asked for."""


def wants_words(asked: Asked, policy: Policy) -> bool:
    """Whether a text is written for a request.

    With `auto`, if it asks for JSON, has instructions or earlier replies to follow, or its words ask for a form.
    """
    if asked.form.json or policy == "always":
        return True
    if policy == "never":
        return False
    return any(turn.role != "user" for turn in asked.turns) or asks_for_form(asked.turns[-1].text)


def check_can_word(asked: Asked, team: Team, policy: Policy) -> None:
    """Refuse a form before the team is asked, if nobody can write it.

    Raises:
        ApiError: The form is JSON, and the team is recorded or writes nothing for requests.
    """
    if not asked.form.json:
        return
    if isinstance(team, RecordedTeam):
        raise _no_form(asked, f"the team plays the recorded replies of {team.bank.name}, and nobody writes JSON")
    if policy == "never":
        raise _no_form(asked, "this server answers in the team's own words (--words never)")


def _no_form(asked: Asked, why: str) -> ApiError:
    return ApiError(
        400, f"a response format of type {asked.form.kind} is not supported here: {why}; leave it out, or ask for text",
        "unsupported_response_format", "response_format",
    )  # fmt: skip


async def find_words(asked: Asked, done: Solution, team: Team, policy: Policy, seed: int) -> Words:
    """The words for a solution.

    Args:
        asked: The request.
        done: What the team decided; its last round did not fail.
        team: The team, whose coordinator's model writes.
        policy: When it writes.
        seed: Seed of the request's samples.

    Raises:
        ApiError: JSON was asked for and could not be written, or the schema can't be checked.
        EconError: The models refuse every request, or the budget is spent.
    """
    own = await judging(team.rule, _own, asked, done, team)
    if not wants_words(asked, policy) or isinstance(team, RecordedTeam):
        return Words(own, written=False)
    answer = done.answer.rounds[-1].commitment.answer
    solution = await judging(team.rule, _solution, done, team) or own
    request, used, why = asked.question, Usage(), ""
    again: tuple[str, str] | None = None
    for attempt in range(ATTEMPTS):
        made = await background.submit(
            team.write(
                wording(request, answer, solution, asked.form, again),
                problem_id="words",
                seed=derive_seed(seed, "words", attempt),
                max_tokens=min(asked.max_tokens or MOST_TOKENS, MOST_TOKENS),
                temperature=asked.temperature,
                top_p=asked.top_p or None,
                schema=asked.form.asked_schema,
            )
        )
        used += made.usage
        if isinstance(made, LLMError):
            why = str(made)
            if isinstance(made, LLMContextError):
                break  # a further attempt would be longer
            continue
        text = unfenced(made.text) if asked.form.json else _stopped(made.text.strip(), asked)
        cut = made.finish_reason == "length"
        fault = await judging(team.rule, _fault, text, answer, asked, team, slow=asked.form.json)
        if fault is None:
            return Words(text, written=True, finish_reason="length" if cut else "stop", usage=used)
        why = f"{fault}, cut at its limit of tokens" if cut else fault
        again = (made.text, fault)
    if asked.form.json:
        raise ApiError(502, f"the team's model did not write the answer in the form asked for: {why}", "form_failed")
    return Words(own, written=False, usage=used, error=why)


def _own(asked: Asked, done: Solution, team: Team) -> str:
    """The team's own words; if a stop sequence would take the answer away, the answer in a sentence."""
    made = done.answer.rounds[-1].commitment
    text = _stopped(readable(made), asked)
    if asked.stop and made.answer is not None and not carries(text, made.answer, PLAIN, team.rule):
        short = _stopped(stated(made.answer), asked)
        return short if carries(short, made.answer, PLAIN, team.rule) else text
    return text


def _fault(text: str, answer: str | None, asked: Asked, team: Team) -> str | None:
    """Why a written text can't be used; `None` if it can."""
    try:
        fault = asked.form.fault(text)
    except SchemaError as error:
        raise ApiError(400, str(error), "invalid_json_schema", "response_format") from None
    if fault is None and repeats_prompt(text):
        fault = "it repeats the prompt"
    if fault is None and answer is not None and not carries(text, answer, asked.form, team.rule):
        fault = f"it does not state the answer {answer}"
    return fault


def _solution(done: Solution, team: Team) -> str | None:
    """The text of the first reply with the team's answer; `None` if no reply has it."""
    last = done.answer.rounds[-1]
    decided = last.commitment.answer
    if decided is None:
        return None
    for reply in done.answer.replies:
        if reply.valid and reply.answer is not None and team.rule.same(reply.answer, decided):
            return readable(reply)
    return None


def _stopped(text: str, asked: Asked) -> str:
    """The text before the first stop sequence."""
    ends = [place for stop in asked.stop if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text

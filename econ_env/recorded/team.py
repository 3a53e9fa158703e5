"""Plays a team from a bank: each executor is one of its models, and a reply is one that this model gave.

A bank shows how replies depend on problem, model and controls. It can't show what another prompt would have changed, so
a plan, the last commitment, a debate and a coordinator's words are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from econ_env.answers import AnswerRule
from econ_env.config import EnvConfig
from econ_env.errors import BankError
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo, Message
from econ_env.problems.order import first_episode_seed
from econ_env.recorded.bank import Bank
from econ_env.recorded.columns import WORKING
from econ_env.recorded.deck import Deck
from econ_env.recorded.grid import Grid
from econ_env.records import Confidence, Problem, PromptEmbedding, Recorded, Reply, Usage, Working
from econ_env.team.prompts import PromptSet, ReplyFormat
from econ_env.team.rounds import Team
from econ_env.team.votes import stated

UNREADABLE = "No answer could be read in this reply."
"""Text of a reply without an answer, where the bank has no texts."""


class Member(NamedTuple):
    """A model of a bank, as a member of a team; it answers nothing but through its team."""

    bank: str
    model: str

    @property
    def info(self) -> LLMInfo:
        """Description of the model."""
        return LLMInfo(backend="recorded", model=self.model, where=self.bank, json_mode=True)

    async def complete(self, request: ChatRequest) -> Completion:
        """Refuse: a bank can't answer a prompt.

        Raises:
            BankError: Always.
        """
        raise BankError(f"{self.model} is on record in {self.bank}, and can't answer a prompt ({request.role})")

    async def aclose(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True)
class RecordedTeam(Team):
    """A team whose replies are on record.

    Attributes:
        bank: The recorded replies.
        grids: Model and cells of each executor.
        deck: What was dealt so far in the running episode; without one, each call of `replies` starts an episode.
    """

    bank: Bank = field(kw_only=True)
    grids: tuple[tuple[int, Grid], ...] = field(kw_only=True)
    deck: Deck | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, bank: Bank, models: Sequence[str], config: EnvConfig, prompts: PromptSet, rule: AnswerRule) -> Self:
        """Make a team of models of a bank.

        Args:
            bank: The bank.
            models: The model of each executor.
            config: The environment's settings.
            prompts: Whose plain question is taken to have been asked.
            rule: Compares answers.

        Raises:
            BankError: A model is not in the bank, or its cells are no full grid.
        """
        members = tuple(Member(bank.name, model) for model in models)
        places = [bank.model(model) for model in models]
        cells = {place: Grid(bank, place, config.recorded.draw) for place in places}
        grids = tuple((place, cells[place]) for place in places)
        return cls(members[0], members, config, prompts, rule=rule, bank=bank, grids=grids)

    def new_deck(self, problem: Problem, seed: int) -> Deck:
        """The deck of an episode.

        Raises:
            BankError: The problem is not in the bank.
        """
        return Deck(seed, self._place(problem))

    def dealing(self, deck: object) -> RecordedTeam:
        """This team in the episode with this deck."""
        assert deck is None or isinstance(deck, Deck)
        return replace(self, deck=deck)

    async def replies(
        self,
        problem: Problem,
        prompts: Sequence[tuple[Message, ...]],
        controls: Sequence[PromptEmbedding],
        *,
        index: int,
        seed: int,
        first: int = 0,
        members: Sequence[int] | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> tuple[Reply, ...]:
        """A recorded reply per prompt; the arguments are those of `Team.replies`.

        Outside an episode (without a deck) the calls before number `first` are taken to have had the first of these
        controls.

        Returns:
            A reply per prompt; invalid if none is on record for the problem in the drawn cell.

        Raises:
            BankError: A prompt shows more than the question, the problem is not in the bank, or a cell has no further
                reply and `recorded.reuse` is `refuse`.
        """
        self._check_plain(problem, prompts)
        deck = self.deck
        if deck is None:
            deck = Deck(first_episode_seed(seed), self._place(problem))
            for number in range(first):
                self._deal(deck, problem, number, controls[0])
        made = []
        numbers = range(first, first + len(controls)) if members is None else members
        for number, own in zip(numbers, controls, strict=True):
            reply = self._deal(deck, problem, number, own)
            if heard is not None and reply.text is not None:
                heard(reply.text)
            made.append(reply)
        return tuple(made)

    def _deal(self, deck: Deck, problem: Problem, number: int, controls: PromptEmbedding) -> Reply:
        """The next reply of executor `number`, the executors taking turns."""
        bank, sampling = self.bank, self.config.sampling
        model, grid = self.grids[number % len(self.grids)]
        around = grid.around(sampling.asked(controls))
        cell = deck.cell(around)
        at = cell * len(bank.problems) + deck.problem
        start, stop = int(bank.start[at]), int(bank.start[at + 1])
        agent = f"executor_{number}"
        if start == stop:
            error = f"{bank.name} has no reply of {bank.models[model]} to the problem {problem.id} with these controls"
            return Reply(agent, controls, None, None, "invalid", error=error)
        place, reused = deck.next(cell, stop - start)
        if reused and self.config.recorded.reuse == "refuse":
            raise BankError(
                f"{bank.name} has only {stop - start} replies of {bank.models[model]} to the problem {problem.id} with "
                "these controls; ask for fewer, or set recorded.reuse=count to play them again"
            )
        row = start + place
        clipped = not set(around.outside).isdisjoint(sampling.controls)
        return self._played(agent, controls, row, Recorded(int(bank.row_R[row]), clipped, reused))

    def _played(self, agent: str, controls: PromptEmbedding, row: int, recorded: Recorded) -> Reply:
        bank = self.bank
        code = int(bank.answer_R[row])
        answer = bank.answers[code] if code >= 0 else None
        text = None if bank.texts is None else bank.texts[recorded.row]
        chars = self._number("reply_chars", row) if text is None else float(len(text))
        if not text or not text.strip():
            text = UNREADABLE if answer is None else stated(answer)
        tokens = self._number("tokens", row)
        logprob = self._number("mean_logprob", row)
        length = 1 if tokens is None else max(1, int(tokens))
        return Reply(
            agent, controls, text, answer, "valid",
            usage=Usage(calls=1, completion_tokens=0 if tokens is None else int(tokens)),
            confidence=None if logprob is None else Confidence(min(logprob, 0.0), min(logprob, 0.0), length),
            recorded=recorded,
            finish_reason=None if bank.end_R is None or bank.end_R[row] < 0 else bank.ends[bank.end_R[row]],
            chars=None if chars is None else int(chars),
            working=self._working(row) if bank.texts is None else None,
        )  # fmt: skip

    def _working(self, row: int) -> Working | None:
        known = [value for column in WORKING if (value := self._number(column, row)) is not None]
        if len(known) < len(WORKING):
            return None
        equations, wrong, numbers, ends, shows = known
        return Working(int(equations), int(wrong), int(numbers), ends > 0.5, shows > 0.5)

    def _number(self, column: str, row: int) -> float | None:
        values = self.bank.numbers.get(column)
        value = None if values is None else float(values[row])
        return None if value is None or value != value else value

    def _place(self, problem: Problem) -> int:
        place = self.bank.place_of.get(problem.id)
        if place is None or self.bank.problems[place].answer != problem.answer:
            raise BankError(
                f"the problem {problem.id} of {problem.source} is not in {self.bank.name}; leave the problems out to "
                "play those of the bank"
            )
        return place

    def _check_plain(self, problem: Problem, prompts: Sequence[tuple[Message, ...]]) -> None:
        """Refuse prompts that show more than the question."""
        forms: tuple[ReplyFormat, ...] = ("json", "text")
        left = list(prompts)
        for form in forms:
            plain = self.prompts.executor(problem.question, None, None, form)
            left = [prompt for prompt in left if prompt != plain]
            if not left:
                return
        raise BankError(
            f"{self.bank.name} can't show what a plan, other replies or a last commitment would change: only the "
            "plain question can be asked"
        )

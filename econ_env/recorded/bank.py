"""Holds a bank of recorded replies: which model replied what to which problem, with which controls.

Axes: R replies, P problems, M models, G cells. A cell is a model with one value of each control, and holds the replies
(samples) of that model and these controls to every problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from econ_env.answers import AnswerRule, judge_answer, labels_of
from econ_env.errors import BankError
from econ_env.problems.fields import listed, suggestion
from econ_env.problems.load import ProblemSet
from econ_env.problems.rows import with_bare_gold
from econ_env.recorded.manifest import Manifest
from econ_env.records import Problem

if TYPE_CHECKING:
    import pyarrow as pa

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

NO_QUESTION = "Problem {id} of {bank}; the text of its question is not on record."
"""Question of a problem whose text the bank does not have. Each has its own, since a question identifies a problem."""


class Judged(NamedTuple):
    """What a rule says of every reply."""

    label_R: Codes
    """Number of its answer within its problem: equal where the rule calls the answers the same; -1 for none."""
    right_R: NDArray[np.bool_]
    """Whether its answer is the gold one."""


class Texts:
    """A column of texts, each made when it is asked for, which takes half the memory of a list.

    Args:
        column: The texts.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> str | None:
        text: str | None = self._column[row].as_py()
        return text


@dataclass(frozen=True, eq=False)
class Bank:
    """Recorded replies, sorted by cell, problem and sample; immutable, and picklable."""

    name: str
    """What it is called in messages and results."""
    manifest: Manifest
    """Where the replies come from."""
    problems: ProblemSet
    """The problems; where the bank has no questions, with stand-ins (`NO_QUESTION`)."""
    models: tuple[str, ...]
    """Names of the models, sorted."""
    controls: tuple[str, ...]
    """Names of the controls that are known."""
    cell_model_G: Codes
    """Model of each cell."""
    cell_controls_GA: Floats
    """Controls of each cell."""
    start: NDArray[np.int64]
    """Replies to problem p in cell g: from `start[g * P + p]` to before `start[g * P + p + 1]`; shape [G * P + 1]."""
    answer_R: Codes
    """Place of each reply's answer in `answers`; -1 where none could be read."""
    answers: tuple[str, ...]
    """The different answers."""
    numbers: Mapping[str, Floats]
    """The columns `econ_env.recorded.columns.NUMBERS` by row, NaN where unknown; only the columns that there are."""
    row_R: NDArray[np.int64]
    """Row of each reply in the file."""
    has_questions: bool
    """Whether the problems have their questions."""
    read_replies: Callable[[], Texts] | None
    """Reads the texts of all replies, in the order of the file; `None` if the bank has none."""
    correct_R: NDArray[np.int8] | None = None
    """The verdicts when the bank was made: 1, 0, or -1 where unknown."""
    end_R: Codes | None = None
    """Place in `ends` of why each reply ended; -1 where unknown."""
    ends: tuple[str, ...] = ()
    """The different reasons, such as `stop` and `length`."""
    _judged: dict[str, Judged] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.answer_R)

    def __getstate__(self) -> dict[str, Any]:
        return {part.name: self.__dict__[part.name] for part in fields(self)}  # without what can be made again

    def __deepcopy__(self, memo: dict[int, Any]) -> Bank:
        return self  # nothing in it can change

    def __repr__(self) -> str:
        return f"Bank({self.name!r}, {len(self):,} replies, {len(self.problems):,} problems, {len(self.models)} models)"

    @cached_property
    def problem_R(self) -> Codes:
        """Problem of each reply."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start)).astype(np.int32) % len(self.problems)

    @cached_property
    def cell_R(self) -> Codes:
        """Cell of each reply."""
        cells: Codes = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start)).astype(np.int32)
        return cells // len(self.problems)

    @cached_property
    def texts(self) -> Texts | None:
        """Texts of the replies in the order of the file, read at first use; `None` if the bank has none."""
        return None if self.read_replies is None else self.read_replies()

    @cached_property
    def place_of(self) -> Mapping[str, int]:
        """Place of each problem by its id."""
        return {problem.id: place for place, problem in enumerate(self.problems)}

    def model(self, name: str) -> int:
        """Place of a model.

        Raises:
            BankError: It is not in the bank; the message lists those that are.
        """
        if name in self.models:
            return self.models.index(name)
        raise BankError(
            f"{self.name} has no model {name!r}.{suggestion(name, self.models)} It has {listed(list(self.models))}"
        )

    def cells(self, model: int) -> NDArray[np.int64]:
        """The cells of a model."""
        return np.flatnonzero(self.cell_model_G == model)

    def samples(self, model: int) -> int:
        """The fewest replies that a cell of this model has for a problem that it has a reply to."""
        P = len(self.problems)
        counts = np.concatenate([np.diff(self.start)[cell * P : (cell + 1) * P] for cell in self.cells(model)])
        return int(counts[counts > 0].min())

    def judged(self, rule: AnswerRule) -> Judged:
        """Judge every reply, each different answer of a problem once; kept for the next time.

        May take minutes if many answers are formulas; blocks.
        """
        known = self._judged.get(rule.name)
        if known is None:
            known = self._judged[rule.name] = self._judge(rule)
        return known

    def _judge(self, rule: AnswerRule) -> Judged:
        keys = self.problem_R.astype(np.int64) * (len(self.answers) + 1) + self.answer_R + 1
        different, place_R = np.unique(keys, return_inverse=True)
        labels = np.full(len(different), -1, np.int32)
        right = np.zeros(len(different), bool)
        by_problem: dict[int, list[int]] = {}
        for place, key in enumerate(different.tolist()):
            problem, code = divmod(key, len(self.answers) + 1)
            if code:
                by_problem.setdefault(problem, []).append(place)
        for problem, places in by_problem.items():
            codes = different[places] % (len(self.answers) + 1) - 1
            given = [self.answers[code] for code in codes.tolist()]
            labels[places] = labels_of(given, rule)
            gold = self.problems[problem].answer
            right[places] = [judge_answer(answer, gold, rule).correct for answer in given]
        return Judged(labels[place_R], right[place_R])


def stand_ins(ids: Sequence[str], golds: Sequence[str], questions: Sequence[str] | None, source: str) -> ProblemSet:
    """The problems of a bank; its `exam` becomes the kind.

    Args:
        ids: The problems' ids.
        golds: Their gold answers.
        questions: Their questions, if they are known.
        source: Name of the bank.

    Raises:
        ProblemGoldError: A gold answer can't be read.
    """
    asked = [NO_QUESTION.format(id=id, bank=source) for id in ids] if questions is None else questions
    made = zip(ids, golds, asked, strict=True)
    problems = (Problem(text, gold, id, source, id.rpartition("/")[0]) for id, gold, text in made)
    return ProblemSet(tuple(with_bare_gold(problem, source) for problem in problems), source)

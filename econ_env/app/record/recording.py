"""Says what is recorded: which models are asked which problems, how they are sampled, and how often."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from econ_env import __version__
from econ_env.app.run_config import RunConfig
from econ_env.llm.cache import digest
from econ_env.llm.protocol import CONTROLS_VERSION, LLM, ChatRequest, Completion, LLMInfo
from econ_env.llm.seeding import derive_seed
from econ_env.problems.load import ProblemSet
from econ_env.recorded import Manifest
from econ_env.records import Problem
from econ_env.team.rounds import Team

Setup = dict[str, Any]
"""What must not change when a recording goes on, as plain values."""


class Cell(NamedTuple):
    """How a call is sampled."""

    temperature: float
    """Sampling temperature."""
    repetition_penalty: float
    """Repetition penalty."""
    top_p: float
    """Nucleus mass."""
    min_p: float
    """Least probability of a token, as a share of the most likely one's."""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self._asdict().items())


class Call(NamedTuple):
    """One call of a recording."""

    model: int
    """Place of the model."""
    problem: int
    """Place of the problem."""
    cell: Cell
    """How it is sampled."""
    sample: int
    """Number among the calls that are otherwise equal."""


@dataclass(frozen=True)
class Seeded:
    """A model that is asked with a seed of its own."""

    llm: LLM
    """The model."""
    seed: int
    """The seed, 0 <= seed < 2**31."""

    @property
    def info(self) -> LLMInfo:
        """Facts about the model."""
        return self.llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer a request, with this seed.

        Raises:
            LLMError: As the model.
        """
        return await self.llm.complete(replace(request, seed=self.seed))

    async def aclose(self) -> None:
        """Nothing to release: the model is another's."""


Key = tuple[str, str, Cell, int]
"""Model, problem, cell and sample of a reply."""


@dataclass(frozen=True)
class Recording:
    """A recording."""

    config: RunConfig
    """Settings of the models, limits and formats."""
    team: Team
    """The models, as executors; all of them are named."""
    problems: ProblemSet
    """The problems."""
    cells: tuple[Cell, ...]
    """How each model is sampled."""
    samples: int
    """Calls for each model, problem and cell."""

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [llm.info.model for llm in self.team.executors]

    @property
    def total(self) -> int:
        """Number of calls."""
        return len(self.models) * len(self.problems) * len(self.cells) * self.samples

    @property
    def prompts(self) -> str:
        """What the models are asked, in words."""
        forms = " or ".join(dict.fromkeys(self.team.form(llm) for llm in self.team.executors))
        return f"{self.team.prompts.name}, {forms} replies of at most {self.team.config.reply_max_tokens} tokens"

    def calls(self) -> Iterator[Call]:
        """All calls: model by model, and of each the first sample everywhere before the second."""
        for model, sample, problem in product(range(len(self.models)), range(self.samples), range(len(self.problems))):
            for cell in self.cells:
                yield Call(model, problem, cell, sample)

    def key(self, call: Call) -> Key:
        """What names the reply to a call."""
        return self.models[call.model], self.problems[call.problem].id, call.cell, call.sample

    def team_for(self, call: Call) -> Team:
        """The team as it is asked in a call: the model that answers has a seed of its own."""
        team, cell = self.team, call.cell
        sampling = team.config.sampling.model_copy(
            update={"second_action": "repetition_penalty", "top_p_default": cell.top_p, "min_p": cell.min_p}
        )
        executors = list(team.executors)
        executors[call.model] = Seeded(executors[call.model], self.seed(call))
        config = team.config.model_copy(update={"sampling": sampling})
        return replace(team, executors=tuple(executors), config=config)

    def seed(self, call: Call) -> int:
        """The seed of a call: another one for each sample, independent of other problems, cells and models.

        The seeds of samples are 2**16 apart, as are those of different rounds of a live team.
        """
        question = self.problems[call.problem].question
        first = derive_seed("record", self.config.seed, question, *map("{:g}".format, call.cell)) >> 16
        return (first + call.sample) % 2**15 << 16

    def setup(self) -> Setup:
        """What must not change when the recording goes on."""
        config, team = self.config, self.team
        return {
            "models": self.models,
            "problems": f"{len(self.problems)} of {_named(self.problems)} ({_digest(self.problems)})",
            **{name: sorted({getattr(cell, name) for cell in self.cells}) for name in Cell._fields},
            "samples": self.samples,
            "seed": config.seed,
            "prompts": team.prompts.name,
            "reply_format": [team.form(llm) for llm in team.executors],
            "reply_max_tokens": team.config.reply_max_tokens,
            "answer_rule": team.rule.name,
            "controls": CONTROLS_VERSION,
            "logprobs": team.logprobs,
            **config.llm.model_dump(mode="json", include={"thinking_tokens", "extra_body", "extra_for"}),
        }

    def manifest(self) -> Manifest:
        """Where the replies come from, without logins and folders."""
        models, problems = self.team.executors, self.problems
        engines = dict.fromkeys(
            f"xllamacpp {version('xllamacpp')}" if llm.info.backend == "local" else _at(llm.info) for llm in models
        )
        return Manifest(
            models={
                llm.info.model: Path(llm.info.where).name if llm.info.backend == "local" else _at(llm.info)
                for llm in models
            },
            engine=", ".join(engines),
            prompts=self.prompts,
            answer_rule=self.team.rule.name,
            controls_version=CONTROLS_VERSION,
            dataset=f"{len(problems):,} problems of {_named(problems)}, seed {self.config.seed}",
            source=f"econ record {__version__}",
            made=date.today().isoformat(),
            recording=json.dumps(self.setup()),
        )


def _at(info: LLMInfo) -> str:
    return f"{info.backend} {info.where}".strip()


def _named(problems: ProblemSet) -> str:
    return f"{problems.source}, {problems.split}" if problems.split else problems.source


def _digest(problems: Sequence[Problem]) -> str:
    return digest([[problem.id, problem.question, problem.answer] for problem in problems])[:8]

"""Measures what the controls do to a model's replies: how often they are right, end, can be read, and how they differ.

Each cell is a temperature T, a repetition penalty p and a min_p. In each, the first executor's model answers the same
problems with the executors' prompt, without a plan, in text: noise is then a reply without an answer, not a call that
failed for want of JSON. Bounds of the controls are well chosen if few cells within them are noise, and both controls
still change something. Answers are kept in the cache, so a run that was stopped goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from econ_env.answers import AnswerRule, judge_answer, judging
from econ_env.app import RunConfig, make_env
from econ_env.app.entry import main as run_command
from econ_env.app.options import settings_options
from econ_env.app.runs import choose_problems
from econ_env.errors import ConfigError, NothingJudgedError
from econ_env.llm import (
    CONTROLS_VERSION,
    LLM,
    ChatRequest,
    Completion,
    LLMInfo,
    background,
    derive_seed,
    ran_out,
)
from econ_env.problems import ProblemSet
from econ_env.records import Problem, PromptEmbedding, Reply
from econ_env.team import Team
from econ_env.traces import write_json


@dataclass(frozen=True)
class Asked:
    """What a sweep asks in every cell."""

    problems: ProblemSet
    """The problems; each is asked at least once."""
    samples: int
    """Samples of each of the first problems, >= 1; only the first sample counts in all but `different`."""
    sampled: int
    """Number of problems that are asked `samples` times, from the first on."""
    seed: int
    """Seed of all samples; cells have the same."""


@dataclass(frozen=True)
class Cell:
    """Results of one setting of the controls; shares are of the valid replies."""

    temperature: float
    """T."""
    penalty: float
    """p."""
    min_p: float
    valid: int
    """Problems with a reply."""
    failed: int
    """Problems whose call failed; they count nowhere else."""
    error: str | None
    """Why the first of them failed; `None` if none did."""
    right: int
    """Replies whose answer is the gold answer."""
    interval: tuple[float, float] | None
    """95% Wilson interval of the share of right replies; `None` without any reply."""
    answered: int
    """Replies in which an answer was found."""
    ended: int
    """Replies that ended by themselves, before the limit of tokens."""
    tokens: float
    """Mean number of tokens of a reply."""
    different: float | None
    """Mean number of different answers among the samples of a problem, with an answer in none counted as 0; `None`
    unless a problem with a reply was sampled more than once."""
    seconds: float
    """Wall time; short where answers came from the cache."""


class Recorder:
    """A model that also keeps why each completion ended."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        self.ended: dict[tuple[str, str], bool] = {}
        """By problem id and agent: whether the reply ended before the limit of tokens."""

    @property
    def info(self) -> LLMInfo:
        """Info of the wrapped model."""
        return self._llm.info

    async def complete(self, request: ChatRequest) -> Completion:
        """The model's answer."""
        done = await self._llm.complete(request)
        self.ended[request.problem_id, request.agent] = not ran_out(done.finish_reason)
        return done

    async def aclose(self) -> None:
        """Nothing to release."""


class Numbers(click.ParamType):
    """Numbers with commas between them.

    Args:
        low: Least number.
        high: Largest number.
    """

    name = "numbers"

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers, each once, in their order."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0.1,0.7,1.3", param, ctx)
        if not all(self.low <= number <= self.high for number in numbers):
            self.fail(f"each number must be in [{self.low:g}, {self.high:g}], got {value}", param, ctx)
        return tuple(dict.fromkeys(numbers))


async def measure(team: Team, asked: Asked, temperature: float, penalty: float, min_p: float) -> Cell:
    """Ask all problems with these controls.

    Args:
        team: Its first executor is asked, with its settings except for controls and format.
        asked: Problems and samples.
        temperature: T.
        penalty: p, a repetition penalty.
        min_p: Takes the place of `sampling.min_p`.

    Raises:
        LLMRequestError: The server will refuse every request.
        BudgetError: The budget is spent.
    """
    start = time.perf_counter()
    recorder = Recorder(team.executors[0])
    sampling = team.config.sampling.model_copy(update={"min_p": min_p})
    config = team.config.model_copy(update={"sampling": sampling, "reply_format": "text"})
    one = replace(team, executors=(recorder,), config=config)

    async def ask(number: int, problem: Problem) -> tuple[Reply, ...]:
        count = asked.samples if number < asked.sampled else 1
        prompts = [team.prompts.executor(problem.question, None, None, "text")] * count
        controls = [PromptEmbedding(temperature, penalty)] * count
        return await one.replies(problem, prompts, controls, index=0, seed=derive_seed(asked.seed, problem.id))

    said = await asyncio.gather(*(ask(number, problem) for number, problem in enumerate(asked.problems)))
    pairs = [(problem, own[0]) for problem, own in zip(asked.problems, said, strict=True) if own[0].valid]
    golds = [(reply.answer, problem.answer) for problem, reply in pairs]
    right = sum([(await judging(team.rule, judge_answer, *both, team.rule)).correct for both in golds])
    spread = [await judging(team.rule, different, own, team.rule) for own in said if len(own) > 1 and own[0].valid]
    interval = binomtest(right, len(pairs)).proportion_ci(method="wilson") if pairs else None
    return Cell(
        temperature=temperature,
        penalty=penalty,
        min_p=min_p,
        valid=len(pairs),
        failed=len(said) - len(pairs),
        error=next((own[0].error for own in said if own[0].error), None),
        right=right,
        interval=None if interval is None else (float(interval.low), float(interval.high)),
        answered=sum(reply.answer is not None for _, reply in pairs),
        ended=sum(recorder.ended[problem.id, reply.agent] for problem, reply in pairs),
        tokens=sum(reply.usage.completion_tokens for _, reply in pairs) / max(1, len(pairs)),
        different=sum(spread) / len(spread) if spread else None,
        seconds=time.perf_counter() - start,
    )


def different(replies: Sequence[Reply], rule: AnswerRule) -> int:
    """Number of different answers; replies without one do not count."""
    found: list[str] = []
    for reply in replies:
        answer = reply.answer
        if answer is not None and not any(rule.same(answer, other) for other in found):
            found.append(answer)
    return len(found)


def lines(cells: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    """The table's lines, without headings."""
    for cell in cells:
        count = max(1, cell.valid)
        low, high = cell.interval or (0.0, 1.0)
        yield (
            f"{cell.temperature:g}",
            f"{cell.penalty:g}",
            f"{cell.min_p:g}",
            f"{cell.right / count:.0%} [{low:.0%}, {high:.0%}]" if cell.valid else "-",
            f"{cell.answered / count:.0%}" if cell.valid else "-",
            f"{cell.ended / count:.0%}" if cell.valid else "-",
            f"{cell.tokens:.0f}" if cell.valid else "-",
            "-" if cell.different is None else f"{cell.different:.1f}",
            str(cell.failed),
        )


@click.command()
@click.option("--problems", "count", type=click.IntRange(1), default=40, show_default=True, help="Number of problems.")
@click.option("--temperatures", type=Numbers(0, 2), default="0.1,0.7,1.3,2", show_default=True, help="Temperatures T.")
@click.option("--penalties", type=Numbers(1, 2), default="1", show_default=True, help="Repetition penalties p.")
@click.option("--min-p", "min_ps", type=Numbers(0, 0.999), default="0", show_default=True, help="Values of min_p.")
@click.option("--samples", type=click.IntRange(1), default=4, show_default=True,
              help="Samples of one problem, to see how answers differ.")  # fmt: skip
@click.option("--sampled", type=click.IntRange(0), default=8, show_default=True,
              help="Problems that are sampled so often; the others are asked once.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the numbers to this JSON file, after every cell.")  # fmt: skip
@settings_options(None)
def main(
    config: RunConfig,
    count: int,
    temperatures: tuple[float, ...],
    penalties: tuple[float, ...],
    min_ps: tuple[float, ...],
    samples: int,
    sampled: int,
    out: Path | None,
) -> None:
    """Print what each combination of T, p and min_p does to the replies of the first executor's model."""
    if config.sampling.second_action != "repetition_penalty":
        raise ConfigError("the sweep varies the repetition penalty: leave sampling.second_action at repetition_penalty")
    problems = choose_problems(config.env_args, count, config.seed).test
    team = make_env(config, problems).team
    asked = Asked(problems, samples, sampled, config.seed)
    console, cells = Console(width=None if Console().is_terminal else 120), list[Cell]()
    settings = {
        "model": team.executors[0].info.model,
        "controls": CONTROLS_VERSION,
        "rule": team.rule.name,
        "prompts": team.prompts.name,
        "source": problems.source,
        "problems": len(problems),
        "samples": samples,
        "sampled": sampled,
        "seed": config.seed,
        "top_p": config.sampling.top_p_default,
        "reply_max_tokens": team.config.reply_max_tokens,
    }
    for min_p, penalty, temperature in product(min_ps, penalties, temperatures):
        cell = background.run(measure(team, asked, temperature, penalty, min_p))
        cells.append(cell)
        console.print("  ".join(next(lines([cell]))), f"({cell.seconds:.0f} s)", highlight=False, soft_wrap=True)
        if out is not None:
            write_json(out, {**settings, "cells": [asdict(cell) for cell in cells]})
    table = Table("T", "p", "min_p", "right [95%]", "answered", "ended", "tokens", f"different of {samples}", "failed",
                  caption=f"{len(problems)} problems of {problems.source}")  # fmt: skip
    for line in lines(cells):
        table.add_row(*line)
    console.print(table)
    if not any(cell.valid for cell in cells):
        raise NothingJudgedError(f"no call of the sweep gave a reply: {cells[0].error}")


if __name__ == "__main__":
    run_command(main)

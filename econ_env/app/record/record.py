"""Records replies of models: asks for them, keeps each at once, and writes them into a bank."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from econ_env.answers import judge_answer, judging
from econ_env.app.entry import InterruptedRun
from econ_env.app.record.bank import describe
from econ_env.app.record.kept import Kept, Line, refuse_other_file
from econ_env.app.record.models import named_team, suited
from econ_env.app.record.plan import Measured, estimate_lines, first_calls, plan_lines
from econ_env.app.record.recording import Call, Cell, Recording
from econ_env.app.run_config import RunConfig
from econ_env.app.runs import display
from econ_env.app.runs.datasets import choose_to_record
from econ_env.app.runs.recording import Failures
from econ_env.app.runs.team_facts import print_facts
from econ_env.errors import ConfigError, EconError
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.meter import shared_meter
from econ_env.recorded.columns import working_facts
from econ_env.recorded.load import is_recorded
from econ_env.records import PromptEmbedding, Reply, Usage
from econ_env.team.rounds import all_or_none


@dataclass(frozen=True)
class Wanted:
    """What is to be recorded; each combination of the controls is a cell."""

    out: Path
    """The bank's file."""
    problems: int
    """Number of problems."""
    temperatures: tuple[float, ...]
    """Sampling temperatures."""
    penalties: tuple[float, ...]
    """Repetition penalties."""
    top_ps: tuple[float, ...]
    """Nucleus masses; empty for that of the settings."""
    min_ps: tuple[float, ...]
    """Values of min-p; empty for that of the settings."""
    samples: int
    """Replies for each model, problem and cell."""
    dry_run: bool
    """Whether only the plan is shown."""
    force: bool
    """Whether another bank or recording in the file is replaced."""


def record(config: RunConfig, wanted: Wanted) -> None:
    """Record a bank, or go on with one; prints the plan, progress, and what is in the bank.

    Replies are kept beside the file until it has all of them. A call that fails has no reply there, and is made again
    the next time.

    Args:
        config: Settings of models, data set, limits, formats and budget.
        wanted: What is recorded.

    Raises:
        ConfigError: The file holds something else, or the models are a bank.
        EconError: The recording can't go on, for example because the budget is spent; what is there is written.
    """
    if is_recorded(config.llm.backend):
        raise ConfigError(f"econ record asks models, and {config.llm.backend} is a bank already; see econ bank")
    if not wanted.dry_run:
        refuse_other_file(wanted.out, force=wanted.force)
    problems = choose_to_record(config.env_args, wanted.problems, config.seed)
    config = suited(config)
    with display.console.status("reaching the models"):
        team = named_team(config, problems)
    sampling = config.sampling
    cells = product(
        wanted.temperatures,
        wanted.penalties,
        wanted.top_ps or (sampling.top_p_default,),
        wanted.min_ps or (sampling.min_p,),
    )
    recording = Recording(config, team, problems, tuple(dict.fromkeys(Cell(*cell) for cell in cells)), wanted.samples)
    shared_meter(config.llm).reset()
    try:
        with nullcontext() if wanted.dry_run else Kept(wanted.out, recording, force=wanted.force) as kept:
            _Recorder(recording, kept).run()
    finally:
        for llm in dict.fromkeys((team.coordinator, *team.executors)):
            background.run(llm.aclose())
    if wanted.dry_run:
        display.console.print("\na dry run: nothing was written", highlight=False)
    else:
        display.console.print()
        describe(str(wanted.out), config.answer_rule)


class _Recorder:
    """Asks for the replies of a recording that are not there yet.

    Args:
        recording: What is recorded.
        kept: Keeps the replies; `None` for a dry run.
    """

    def __init__(self, recording: Recording, kept: Kept | None) -> None:
        self._recording, self._kept = recording, kept
        self._rule = recording.team.rule
        self._failed = 0
        self._failures = Failures("calls", "give the same command again")

    def run(self) -> None:
        """Show the plan, ask, and write the bank.

        Raises:
            EconError: The recording can't go on; what is there is written.
        """
        recording, kept = self._recording, self._kept
        done = set() if kept is None else kept.done
        waiting = [call for call in recording.calls() if recording.key(call) not in done]
        print_facts({"models": ", ".join(recording.models), **plan_lines(recording, len(waiting))})
        if waiting:
            self._make(waiting)
        self._write()

    def _make(self, waiting: Sequence[Call]) -> None:
        """Make calls, the first ones to measure them; an error is raised again once what is there is written."""
        recording, kept = self._recording, self._kept
        try:
            with display.progress() as bars:
                tally = display.PhaseTally(bars, "replies", recording.total, recording.total - len(waiting))
                first = self._measure(waiting, tally)
                for model in range(len(recording.models)) if kept is not None else ():
                    self._ask([call for call in waiting if call.model == model and call not in first], tally)
        except KeyboardInterrupt:
            if kept is None:
                raise
            raise InterruptedRun(
                f"stopped; {len(kept.done):,} replies are kept in {kept.part}, and the same command goes on"
            ) from None
        except EconError as error:
            raise type(error)(f"{error}{self._write()}") from error

    def _measure(self, waiting: Sequence[Call], tally: display.PhaseTally) -> set[Call]:
        """Make the first calls, and say what the others will take."""
        measured = []
        made: set[Call] = set()
        for calls in first_calls(waiting, self._recording.config.problems_in_flight):
            llm = self._recording.team.executors[calls[0].model]
            if isinstance(llm, OpenAIClient):
                background.run(llm.reach())  # its engine starts before the clock does
            start = time.perf_counter()
            found = self._ask(calls, tally)
            measured.append(
                Measured(
                    calls=len(calls),
                    left=sum(call.model == calls[0].model for call in waiting) - len(calls),
                    used=sum(found, Usage()),
                    seconds=time.perf_counter() - start,
                )
            )
            made |= set(calls)
        where = "the bank" if self._kept is not None else "the cache" if self._recording.config.llm.cache else ""
        print_facts(estimate_lines(measured, self._recording.config.llm, where))
        return made

    def _ask(self, calls: Sequence[Call], tally: display.PhaseTally) -> list[Usage]:
        """Make some calls of one model, and keep the replies; returns what each reply took."""
        return background.run(self._ask_together(calls, tally)) if calls else []

    async def _ask_together(self, calls: Sequence[Call], tally: display.PhaseTally) -> list[Usage]:
        waiting, used = iter(calls), []

        async def worker() -> None:
            for call in waiting:
                reply = await self._reply(call)
                verdict = "failed"
                if reply.valid:
                    verdict = await self._keep(call, reply)
                    used.append(reply.usage)
                tally.count(verdict, reply.usage.tokens, reply.usage.calls)
                self._failed += not reply.valid
                self._failures.count(not reply.valid, reply.error)

        in_flight = min(len(calls), self._recording.config.problems_in_flight)
        await all_or_none([asyncio.ensure_future(worker()) for _ in range(in_flight)])
        llm = self._recording.team.executors[calls[0].model]
        if isinstance(llm, OpenAIClient) and llm.server.engine is not None and len(self._recording.models) > 1:
            await llm.aclose()  # the next model needs its memory
        return used

    async def _reply(self, call: Call) -> Reply:
        """The reply that a live team would get with these controls."""
        team, problem = self._recording.team_for(call), self._recording.problems[call.problem]
        prompt = team.prompts.executor(problem.question, None, None, team.form(team.executors[call.model]))
        controls = PromptEmbedding(call.cell.temperature, call.cell.repetition_penalty)
        (reply,) = await team.replies(problem, [prompt], [controls], index=0, seed=0, first=call.model)
        return reply

    async def _keep(self, call: Call, reply: Reply) -> str:
        """Keep a valid reply, and return its verdict."""
        problem = self._recording.problems[call.problem]
        judgement = await judging(self._rule, judge_answer, reply.answer, problem.answer, self._rule)
        assert reply.text is not None
        if self._kept is not None:
            line: Line = {
                "problem": problem.id,
                "model": self._recording.models[call.model],
                **call.cell._asdict(),
                "sample": call.sample,
                "answer": reply.answer,
                "correct": judgement.correct,
                "reply": reply.text,
                "tokens": reply.usage.completion_tokens,
                "reply_chars": len(reply.text),
                **working_facts(reply.text, reply.answer),
                "mean_logprob": None if reply.confidence is None else reply.confidence.mean,
                "finish_reason": reply.finish_reason,
            }
            self._kept.add(line)
        return judgement.verdict

    def _write(self) -> str:
        """Write what is there, and say what failed; returns how much that is, for an error."""
        kept, total = self._kept, self._recording.total
        if self._failed:
            console = display.console
            line = f"{self._failed:,} calls failed and are not in the bank; the same command makes them again"
            console.print(line, style="red", highlight=False)
        if kept is None or not kept.done:
            return ""
        kept.write(self._recording.manifest())
        if len(kept.done) == total:
            kept.remove()
        return f"; {len(kept.done):,} of {total:,} replies are in {kept.out}, and the same command goes on"

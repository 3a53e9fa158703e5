"""Lets baselines learn on training problems before a comparison, once a run; a resumed run goes on where it was.

`fitting.jsonl` holds the ids of the problems, then a line for each problem that the executors were asked, and one for
each episode that a search played. A search asks for the same plays again, so it is continued by giving it their scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from econ_agents.baselines import FixedControls
from econ_agents.concurrency import all_or_none
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.trial import Trial
from econ_env.answers import heaviest
from econ_env.app.compare import search
from econ_env.app.compare.method_names import FITTED, SEARCHED, MethodMaker, MethodName
from econ_env.app.compare.search import Play, Profile
from econ_env.app.run_config import make_env
from econ_env.app.runs import display
from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.recording import Failures
from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.llm.seeding import derive_seed
from econ_env.methods import Fitted, MemberRow, ask_members, cisc_temperature
from econ_env.problems.load import ProblemSet
from econ_env.traces import JsonLines, read_lines


class Fits:
    """Fits methods to training problems.

    Args:
        maker: Makes the methods; gets what they need.
        folder: Gets the lines.
        problems: The training problems.

    Attributes:
        told: What was found and what it cost, for the summary.
    """

    def __init__(self, maker: MethodMaker, folder: RunFolder, problems: ProblemSet) -> None:
        self.told: dict[str, Any] = dict(folder.earlier.get("fitting", {}))
        self._maker, self._folder, self._problems = maker, folder, problems

    def learn(self, names: Sequence[MethodName]) -> None:
        """Learn what these methods need.

        Raises:
            ConfigError: A method can't learn; or an earlier part of the run learned on other problems.
            LLMUnavailableError: Too many problems failed in a row.
            EconError: The run can't continue; what was asked is kept.
        """
        bases = {name.base for name in names}
        if not bases & {*FITTED, *SEARCHED}:
            return
        self._check_problems()
        with JsonLines(self._folder.fitting_file) as file:
            if not any(self._lines("problems")):
                file.append({"part": "problems", "ids": [problem.id for problem in self._problems]})
            if bases & {*FITTED}:
                self._fit(file, confidence="cisc" in bases)
            for base in SEARCHED:
                if base in bases:
                    self._search(base, file)

    def _check_problems(self) -> None:
        before = next(self._lines("problems"), None)
        if before is not None and before["ids"] != [problem.id for problem in self._problems]:
            raise ConfigError(
                f"the run in {self._folder.path} learned on {len(before['ids'])} other problems; resume with the same "
                "--fit and --problems, or use another --log-dir"
            )

    def _lines(self, part: str) -> Iterator[dict[str, Any]]:
        return (line for line in read_lines(self._folder.fitting_file) if line["part"] == part)

    def _fit(self, file: JsonLines, *, confidence: bool) -> None:
        """Ask all executors, and fit what follows from their replies."""
        config, failures = self._maker.config, Failures()
        rows = [MemberRow.from_json(line) for line in self._lines("members")]
        known = {row.problem: row for row in rows if row.error is None}  # failed calls are made again

        def told(row: MemberRow) -> None:
            file.append({"part": "members", **asdict(row)})
            show(row)
            failures.count(row.failed, row.error)

        def show(row: MemberRow) -> None:
            first = heaviest(row.labels)
            verdict = "failed" if row.failed else "correct" if first is not None and row.correct[first] else "wrong"
            tally.count(verdict, row.tokens, row.calls)

        with display.progress() as bars:
            tally = display.PhaseTally(bars, "fit", len(self._problems))
            for row in known.values():
                show(row)
            asked = ask_members(
                make_env(config, self._problems).team,
                self._problems,
                config.seed,
                self._maker.temperature,
                min(len(self._problems), config.problems_in_flight),
                known=known,
                told=told,
            )
            record = background.run(asked)
        fitted = self._maker.fitted = Fitted.of(record)
        self.told |= fitted.to_json()
        for line in _lines_about(fitted):
            display.console.print(line, highlight=False, markup=False)
        if confidence:
            cisc_temperature(record)  # raises where no reply has any

    def _search(self, base: str, file: JsonLines) -> None:
        """Search fixed controls, one play for each problem."""
        plays, maker = len(self._problems), self._maker
        start = (maker.neutral.profile_NA.numpy().astype(np.float64) + 1.0) / 2.0
        if base == "cma_es":
            plays = search.plan(start.size, plays).plays
        with display.progress() as bars:
            tally = display.PhaseTally(bars, base, plays)
            player = _Player(maker, self._problems, base, file, list(self._lines(base)), tally)
            if base == "cma_es":
                found = background.run(search.cma_es(start, plays, maker.config.seed, player.play))
            else:
                found = background.run(search.ucb1(search.grid(start), plays, player.play))
        controls = player.controls(found)
        maker.found[base] = FixedControls(maker.spec, controls)
        self.told[base] = {**player.cost, "controls": controls}
        shown = controls if base == "cma_es" else controls[:1]  # all executors have the same
        each = "; ".join(", ".join(f"{value:.2f}" for value in own) for own in shown)
        display.console.print(f"{base}: {_cost(player.cost)}; controls {each}", highlight=False, markup=False)


class _Player:
    """Plays episodes with fixed controls, and writes a line for each; those that were played before are not repeated.

    Args:
        maker: Has settings and the team's shape.
        problems: The problems.
        base: Name of the search.
        file: Gets the lines.
        lines: The lines of earlier plays.
        tally: Shows the progress.
    """

    def __init__(
        self,
        maker: MethodMaker,
        problems: ProblemSet,
        base: str,
        file: JsonLines,
        lines: Sequence[dict[str, Any]],
        tally: display.PhaseTally,
    ) -> None:
        self._maker, self._problems, self._base, self._file, self._tally = maker, problems, base, file, tally
        self._known = {line["play"]: line for line in lines}
        self._failures = Failures()
        self._make = partial(make_env, maker.config, problems)
        self._idle: list[JointEnv] = []
        self.cost = {"plays": 0, "calls": 0, "tokens": 0}

    def controls(self, profile: Profile) -> list[list[float]]:
        """A profile of the unit box in the environment's units."""
        low, high = np.array(self._maker.spec.action_low), np.array(self._maker.spec.action_high)
        controls: list[list[float]] = np.clip(low + profile * (high - low), low, high).tolist()
        return controls

    async def play(self, plays: Sequence[Play]) -> list[float | None]:
        """Play episodes; see `search.PlayAll`."""
        first, waiting = self.cost["plays"], iter(enumerate(plays))
        scores: list[float | None] = [None] * len(plays)
        self.cost["plays"] += len(plays)

        async def worker() -> None:
            for place, asked in waiting:
                scores[place] = await self._one(first + place, asked)

        await all_or_none(worker() for _ in range(min(len(plays), self._maker.config.problems_in_flight)))
        return scores

    async def _one(self, number: int, asked: Play) -> float | None:
        line = self._known.get(number)
        if line is None:
            line = await self._new(number, asked)
            self._file.append(line)
            self._failures.count(line["right"] is None, line["error"])
        self.cost["calls"] += line["calls"]
        self.cost["tokens"] += line["tokens"]
        right: bool | None = line["right"]
        self._tally.count("failed" if right is None else "correct" if right else "wrong", line["tokens"], line["calls"])
        return None if right is None else float(right)

    async def _new(self, number: int, asked: Play) -> dict[str, Any]:
        """Play an episode; its line."""
        problem = self._problems[asked.problem]
        policy = FixedControls(self._maker.spec, self.controls(asked.profile))
        trial = Trial(policy, rounds=1, config=self._maker.config.bne)
        env = self._idle.pop() if self._idle else as_joint(self._make())
        try:
            seed = derive_seed("episode", self._maker.config.seed, problem.id)
            await trial.play(env, asked.problem, seed, trial.together())
            episode = env.parallel_env.episode
        finally:
            self._idle.append(env)
        judgement, last, usage = episode.decisions[-1].judgement, episode.last_round, episode.usage
        return {
            "part": self._base,
            "play": number,
            "problem": problem.id,
            "right": None if judgement is None else judgement.correct,
            "calls": usage.calls,
            "tokens": usage.tokens,
            "error": None if judgement is not None or last is None else last.error,
        }


def _cost(cost: dict[str, int]) -> str:
    return f"{cost['plays']} plays, {cost['calls']:,} calls, {cost['tokens']:,} tokens"


def _lines_about(fitted: Fitted) -> Iterator[str]:
    yield f"fitted to {fitted.problems} training problems: {fitted.calls:,} calls, {fitted.tokens:,} tokens"
    shown = ", ".join(f"{value:.1%}" for value in fitted.accuracies)
    yield f"accuracy of the executors (smoothed): {shown}; best first: {', '.join(map(str, fitted.order))}"
    known = fitted.softmax_temperature
    yield f"votes: c = {fitted.constant:.2f}" + ("" if known is None else f"; confidence: T = {known:g}")

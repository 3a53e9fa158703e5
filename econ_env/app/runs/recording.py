"""Makes and writes the records of test episodes: a row and a trace each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from econ_agents.trial import EpisodeResult
from econ_env.answers import AnswerRule
from econ_env.app.run_config import RunConfig
from econ_env.app.runs.display import PhaseTally
from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.results import Row, result_row
from econ_env.episode import Episode
from econ_env.errors import LLMUnavailableError


class Record(NamedTuple):
    """The written form of a test episode."""

    row: Row
    """For `results.jsonl`."""
    trace: dict[str, Any]
    """For `episodes.jsonl`: all texts and decisions."""


def make_record(method: str, result: EpisodeResult, episode: Episode, config: RunConfig, rule: AnswerRule) -> Record:
    """Make the record of a test episode.

    Args:
        method: The method that answered.
        result: How the episode ran.
        episode: All texts of the episode.
        config: The run's settings.
        rule: Judges the commitment of each round.
    """
    gap = result.decisions[-1].gap_after
    row = result_row(
        method,
        episode,
        stop_reasons=[decision.stop_reason for decision in result.decisions],
        residuals=[residual for decision in result.decisions for residual in decision.residuals],
        gap=None if gap is None else sum(gap),
        believed=result.believed,
        seconds=result.seconds,
        seed=config.seed,
        llm=config.llm,
        rule=rule,
    )
    return Record(row, {"episode": episode.to_dict(), "decisions": [asdict(decision) for decision in result.decisions]})


def recorder(folder: RunFolder, tally: PhaseTally) -> Callable[[Record], None]:
    """A function that writes each record and shows the test's progress.

    It raises `LLMUnavailableError` after `FAILURES_IN_A_ROW` failed problems in a row.
    """
    failures = Failures()

    def record(done: Record) -> None:
        row, trace = done
        folder.add(row, trace)
        tally.count(row["verdict"], sum(row["tokens"].values()), row["calls"])
        failures.count(row["verdict"] == "failed", row["error"])

    return record


FAILURES_IN_A_ROW = 5
"""Failed problems or calls in a row after which the run stops."""


class Failures:
    """Counts what failed one after another.

    Args:
        what: What is counted, in the plural.
        advice: How to go on once the cause is gone.
    """

    def __init__(self, what: str = "problems", advice: str = "continue with --resume") -> None:
        self._what, self._advice = what, advice
        self._in_a_row = 0

    def count(self, failed: bool, reason: str | None) -> None:
        """Count what is finished.

        Raises:
            LLMUnavailableError: Too many failed one after another.
        """
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if self._in_a_row >= FAILURES_IN_A_ROW:
            raise LLMUnavailableError(
                f"{self._in_a_row} {self._what} failed one after another, the last with: {reason}; "
                f"fix the cause and {self._advice}"
            )

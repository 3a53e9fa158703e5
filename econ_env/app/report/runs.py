"""Reads the log folders of runs and joins their rows, labelled by method and marked by run and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from econ_env.answers import AnswerRule, make_rule
from econ_env.app.compare.overview import REFERENCE, overview
from econ_env.app.compare.readable import Play, key_of, readable_names
from econ_env.app.runs.folder import RESULTS_FILE, RUN_FILE, SUMMARY_FILE, TRAINING_FILE, VOLATILE
from econ_env.app.runs.results import Row, by_method
from econ_env.errors import ConfigError, TraceError
from econ_env.traces import read_json, read_lines

NEEDED = (
    "method", "problem", "seed", "source", "kind", "gold", "answer", "verdict", "rounds", "stop_reasons", "residuals",
    "gap", "replies", "round_verdicts", "round_tokens", "reward", "tokens", "prompt_tokens", "completion_tokens",
    "calls", "cache_hits", "usd", "seconds", "units",
)  # fmt: skip
"""Fields that every row must have."""
BASELINE = "baseline"
"""The method that differences are relative to by default, if there is one with this name."""
_ADVICE = "remove it, or report other runs"


@dataclass(frozen=True)
class LoadedRun:
    """One log folder."""

    path: Path
    """The folder."""
    about: Mapping[str, Any]
    """Settings, seed, versions: its `run.json`."""
    summary: Mapping[str, Any]
    """Its `summary.json`; empty until the run writes it."""
    rows: list[Row]
    """A row per problem, method and seed."""
    training: list[Row] = field(default_factory=list)
    """A row per episode of training."""

    @property
    def name(self) -> str:
        """Its name on the page."""
        return self.path.resolve().name

    @property
    def complete(self) -> bool:
        """Whether the run finished."""
        return bool(self.summary.get("complete"))


@dataclass(frozen=True)
class Runs:
    """All runs of a report."""

    runs: list[LoadedRun]
    """In the order given."""
    rows: list[Row]
    """All rows; `method` is the label shown, and `run` the run's index."""
    overview: dict[str, Any]
    """The result of `econ_env.app.compare.overview` for these rows."""

    @property
    def methods(self) -> dict[str, list[Row]]:
        """Rows by label, in the order of the overview."""
        groups = by_method(self.rows)
        return {label: groups[label] for label in self.overview["methods"]}

    @property
    def names(self) -> dict[str, str]:
        """The readable name of each label, no two the same."""
        plays = {
            label: Play.of(self.runs[rows[0]["run"]].about.get("config", {})) for label, rows in self.methods.items()
        }
        return readable_names(self.overview["methods"], plays)

    @property
    def matching(self) -> dict[str, dict[str, Any]]:
        """How budgets were matched; empty for several runs."""
        return dict(self.runs[0].summary.get("matching", {})) if len(self.runs) == 1 else {}


def load_runs(folders: Sequence[str | Path], baseline: str | None = None) -> Runs:
    """Read runs.

    Runs that differ only in the seed belong to one experiment: their rows are pooled. Otherwise a method's label
    starts with its folder's name.

    Args:
        folders: One or more log folders (`--log-dir`).
        baseline: The label that differences are relative to.

    Raises:
        TraceError: A folder has no results, or they can't be read.
        ConfigError: No folder is given, there is no such baseline, or answers were judged by different rules.
    """
    if not folders:
        raise ConfigError("no log folder given; name at least one")
    runs = [_load(Path(folder)) for folder in folders]
    parts = _experiments(runs)
    sources = {row["source"] for run in runs for row in run.rows}
    rows = []
    for place, run in enumerate(runs):
        prefix = f"{distinct_name(runs, run)}: " if len(set(parts)) > 1 else ""
        for row in run.rows:
            problem = f"{row['source']} {row['problem']}" if len(sources) > 1 else row["problem"]
            rows.append({**row, "method": prefix + row["method"], "problem": problem, "run": place})
    labels = list(by_method(rows))
    if baseline is not None and baseline not in labels:
        raise ConfigError(f"there is no method {baseline!r} to compare to; choose from {', '.join(labels)}")
    order = _order(runs, labels)
    chosen = baseline or next((label for label in order if key_of(label) == BASELINE), None)
    if chosen is None and len(runs) == 1:
        chosen = runs[0].summary.get("overview", {}).get("baseline")
    reference = next((label for label in order if key_of(label) == REFERENCE), REFERENCE)
    return Runs(runs, rows, overview(rows, chosen, reference, order, rule=_rule(runs)))


def _rule(runs: Sequence[LoadedRun]) -> AnswerRule:
    """The rule by which answers were judged."""
    names = sorted({str(run.about.get("config", {}).get("answer_rule", "econ")) for run in runs})
    if len(names) > 1:
        raise ConfigError(f"the runs judged answers by different rules ({', '.join(names)}); report them separately")
    return make_rule(names[0])


def _load(folder: Path) -> LoadedRun:
    if not (folder / RESULTS_FILE).is_file():
        raise TraceError(f"{folder} has no {RESULTS_FILE}; give the --log-dir of a run")
    rows = list(read_lines(folder / RESULTS_FILE))
    for number, row in enumerate(rows, start=1):
        lacking = [name for name in NEEDED if name not in row]
        if lacking:
            raise TraceError(
                f"{folder / RESULTS_FILE} line {number} has no {lacking[0]!r}: another version wrote it; repeat the run"
            )
    if not rows:
        raise TraceError(f"{folder / RESULTS_FILE} has no rows yet; continue the run with --resume")
    training = {row["episode"]: row for row in read_lines(folder / TRAINING_FILE)}
    return LoadedRun(
        path=folder,
        about=read_json(folder / RUN_FILE, _ADVICE) or {},
        summary=read_json(folder / SUMMARY_FILE, _ADVICE) or {},
        rows=rows,
        training=[training[number] for number in sorted(training)],
    )


def _experiments(runs: Sequence[LoadedRun]) -> list[int]:
    """The experiment number of each run; runs that differ only in the seed share one."""
    found: list[tuple[Any, set[tuple[str, int]]]] = []
    numbers = []
    for run in runs:
        config = dict(run.about.get("config", {}))
        settings = {key: value for key, value in config.items() if key != "seed" and key not in VOLATILE}
        settings = {"config": settings, **{key: run.about.get(key) for key in ("dataset", "compare", "train_eps")}}
        answered = {(row["method"], row["seed"]) for row in run.rows}
        for number, (known, taken) in enumerate(found):
            if known == settings and not taken & answered:
                taken |= answered
                numbers.append(number)
                break
        else:
            found.append((settings, answered))
            numbers.append(len(found) - 1)
    return numbers


def distinct_name(runs: Sequence[LoadedRun], run: LoadedRun) -> str:
    """The folder's name, or its path if others have the same name."""
    return run.name if [other.name for other in runs].count(run.name) == 1 else str(run.path)


def _order(runs: Sequence[LoadedRun], labels: Sequence[str]) -> list[str]:
    """Labels in the order of a single run's own table; otherwise in order of appearance."""
    wanted = runs[0].summary.get("overview", {}).get("methods", {}) if len(runs) == 1 else {}
    return [label for label in dict.fromkeys([*wanted, *labels]) if label in labels]

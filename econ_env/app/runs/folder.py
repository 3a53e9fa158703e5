"""Writes a run's rows and traces into its folder at once, so that finished work is never lost.

Rows are kept in the files only, so memory does not grow with the number of problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from econ_env.app.runs.results import Row
from econ_env.errors import ConfigError, TraceError
from econ_env.traces import JsonLines, NewLines, read_json, read_lines, write_json, write_json_list, write_lines

RUN_FILE = "run.json"
RESULTS_FILE = "results.jsonl"
EPISODES_FILE = "episodes.jsonl"
ROUNDS_FILE = "rounds.jsonl"
TRAINING_FILE = "training.jsonl"
FITTING_FILE = "fitting.jsonl"
SUMMARY_FILE = "summary.json"
FAILED_FILE = "failed.jsonl"
"""Rows of failed problems that a resumed run asked again."""
_JUDGED_BY = "judged-by-"
_ADVICE = "remove it or start a new --log-dir"
VOLATILE = ("llm", "ray", "device")
"""Settings that may differ when a run is resumed: how models are called, from how many processes, and where the others
compute does not change the requests, except for rounding."""


class RunFolder:
    """Opens a log folder for a new run, or to resume one.

    A new run first moves the files of an earlier run in the folder to `previous-N/`.

    Args:
        path: The folder.
        about: Description of the run (settings, versions) for `run.json`. When a run is resumed, `config` and `compare`
            (if present) must not change, and neither may `tested` once there are results.
        resume: Whether to resume the run in the folder; failed problems are then asked again.

    Raises:
        ConfigError: The run to resume had other settings.
        TraceError: The folder can't be read or written.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.moved_to: Path | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not resume:
                self.moved_to = _move_aside(path)
        except OSError as error:
            raise TraceError(f"{path} can't be used as log folder: {error.strerror}") from error
        before = read_json(path / RUN_FILE, _ADVICE)
        if before is not None:
            _same_settings(before["config"], about["config"], path)
            _same_settings(before.get("compare", {}), about.get("compare", {}), path)
        if before is not None and any(self.read_rows()):
            _same_settings(before.get("tested", {}), about.get("tested", {}), path)
        self._ask_failed_again()
        write_json(path / RUN_FILE, about)
        self.earlier: Mapping[str, Any] = read_json(path / SUMMARY_FILE, _ADVICE) or {}
        self._results = JsonLines(path / RESULTS_FILE)
        self._episodes = JsonLines(path / EPISODES_FILE)
        self._training = JsonLines(path / TRAINING_FILE)
        self._new_rounds = NewLines(self.rounds_file)
        self._last_error: str | None = None

    def _ask_failed_again(self) -> None:
        """Move the rows of failed problems, for example after a server failure, to another file: they are not done."""
        failed = [row for row in self.read_rows() if row["verdict"] == "failed"]
        if not failed:
            return
        with JsonLines(self.path / FAILED_FILE) as file:
            for row in failed:
                file.append(row)
        write_lines(self.path / RESULTS_FILE, (row for row in self.read_rows() if row["verdict"] != "failed"))

    @property
    def rounds_file(self) -> Path:
        """The file to which the environments append every round."""
        return self.path / ROUNDS_FILE

    @property
    def fitting_file(self) -> Path:
        """The file of what baselines learned from before a comparison."""
        return self.path / FITTING_FILE

    def read_rows(self, method: str | None = None) -> Iterator[Row]:
        """All rows so far, or those of a method, read from the file one by one."""
        return (row for row in read_lines(self.path / RESULTS_FILE) if method in (None, row["method"]))

    def done(self, method: str, seed: int | None = None) -> set[str]:
        """Ids of the problems for which a method has a row; with a seed, a row of that seed."""
        return {row["problem"] for row in self.read_rows(method) if seed in (None, row.get("seed"))}

    def add(self, row: Row, trace: Mapping[str, Any]) -> None:
        """Write an episode's trace, then its row; only an episode with a row counts as done."""
        self._episodes.append({"method": row["method"], "problem_id": row["problem"], **trace})
        self._results.append(row)

    def add_training(self, row: Row) -> None:
        """Write the row of a training episode."""
        self._training.append(row)

    def training_rows(self) -> Iterator[Row]:
        """The last row of each training episode, read one by one; an episode repeated after a stop has several."""
        path = self.path / TRAINING_FILE
        latest = {row["episode"]: place for place, row in enumerate(read_lines(path))}
        return (row for place, row in enumerate(read_lines(path)) if latest[row["episode"]] == place)

    def last_error(self) -> str | None:
        """Error of the latest failed call."""
        for row in self._new_rounds:
            said = [part["error"] for part in _said(row["round"]) if part["error"]]
            self._last_error = said[-1] if said else self._last_error
        return self._last_error

    def write_traces(self, method: str, name: str) -> Path:
        """Write a method's episodes into one JSON file, the last one for each problem."""
        done, path = self.done(method), self.path / EPISODES_FILE
        places = ((place, e["problem_id"]) for place, e in enumerate(read_lines(path)) if e["method"] == method)
        latest = {id_: place for place, id_ in places if id_ in done}
        chosen = frozenset(latest.values())
        write_json_list(self.path / name, (e for place, e in enumerate(read_lines(path)) if place in chosen))
        return self.path / name

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`."""
        write_json(self.path / SUMMARY_FILE, summary)

    def close(self) -> None:
        """Close the files."""
        self._results.close()
        self._episodes.close()
        self._training.close()


def _said(round_: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Commitment, then replies: if both have an error, the replies' error is the cause and must come last."""
    return [round_["commitment"], *round_["replies"]]


def files_of_run(path: Path) -> list[Path]:
    """Files that a run has written into a folder; empty if there is no run."""
    written = (EPISODES_FILE, ROUNDS_FILE, TRAINING_FILE, FITTING_FILE, SUMMARY_FILE, FAILED_FILE)
    names = [RUN_FILE, RESULTS_FILE, *written]
    old = [path / name for name in names if (path / name).exists()]
    old += sorted([*path.glob("llm_traces_*.json"), *path.glob("logs_*_test_*.json")])
    old += sorted(path.glob(f"{_JUDGED_BY}*"))
    return old + ([path / "tensorboard"] if (path / "tensorboard").exists() else [])


def judged_before(path: Path, rule: str) -> Path:
    """A new folder beside the files of a run, for those that a rule had judged before the run was judged again."""
    target, number = path / f"{_JUDGED_BY}{rule}", 2
    while target.exists():
        target, number = path / f"{_JUDGED_BY}{rule}-{number}", number + 1
    return target


def _move_aside(path: Path) -> Path | None:
    old = files_of_run(path)
    if not old:
        return None
    number = 1
    while (path / f"previous-{number}").exists():
        number += 1
    target = path / f"previous-{number}"
    target.mkdir()
    for file in old:
        file.rename(target / file.name)
    return target


def _same_settings(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    keys = sorted({*before, *now} - set(VOLATILE))
    other = [key for key in keys if before.get(key) != now.get(key)]
    if other:
        shown = ", ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in other)
        raise ConfigError(
            f"{path} holds a run with other settings ({shown}); resume with the same settings, or use another --log-dir"
        )

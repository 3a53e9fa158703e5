"""Records next to a run's checkpoints which problems they were trained on, so that tests leave these out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from econ_env.errors import TraceError
from econ_env.records import Problem
from econ_env.traces import read_json, write_json

TRAINED_ON_FILE = "trained_on.json"
_ADVICE = "restore it: it lists the problems that tests must leave out"


class TrainedOn(NamedTuple):
    """Fingerprints of problems."""

    run: frozenset[str]
    """Training problems of the last run in the folder."""
    before: frozenset[str]
    """Training problems of earlier runs in the folder; some of their checkpoints may still be there."""


def fingerprint(problem: Problem) -> str:
    """A hash of the question, the same for every data set that contains it."""
    return hashlib.blake2b(problem.question.strip().encode(), digest_size=8).hexdigest()


def note_trained_on(model_dir: Path, problems: Iterable[Problem], *, resume: bool) -> None:
    """Record the problems that a run is about to train on.

    Args:
        model_dir: The folder of its checkpoints.
        problems: The training problems.
        resume: Whether the run continues the last run in the folder.

    Raises:
        TraceError: The record can't be read or written.
    """
    old = read_trained_on(model_dir) or TrainedOn(frozenset(), frozenset())
    new = {fingerprint(problem) for problem in problems}
    run, before = (old.run | new, old.before) if resume else (new, old.run | old.before)
    write_json(model_dir / TRAINED_ON_FILE, {"run": sorted(run), "before": sorted(before)})


def read_trained_on(checkpoint: Path) -> TrainedOn | None:
    """The problems that a checkpoint may have been trained on; `None` without a record.

    Args:
        checkpoint: Its folder, such as `models_exp1/final`, or the folder of the run's checkpoints.

    Raises:
        TraceError: The record can't be read.
    """
    folder = checkpoint.expanduser().absolute()
    path = next((p / TRAINED_ON_FILE for p in (folder, folder.parent) if (p / TRAINED_ON_FILE).is_file()), None)
    if path is None:
        return None
    kept = read_json(path, _ADVICE) or {}
    try:
        return TrainedOn(frozenset(kept["run"]), frozenset(kept["before"]))
    except (TypeError, KeyError) as error:
        raise TraceError(f"{path} can't be read ({error}); {_ADVICE}") from error


def all_trained_on(checkpoint: Path) -> frozenset[str] | None:
    """Fingerprints of all problems that a checkpoint may have been trained on; `None` without a record.

    Args:
        checkpoint: Its folder; a hub repository has no record.

    Raises:
        TraceError: As `read_trained_on`.
    """
    known = read_trained_on(checkpoint)
    return None if known is None else known.run | known.before

"""Notes beside a run's checkpoints which problems they were trained on, so that no test asks these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from econ_env.errors import TraceError
from econ_env.records import Problem
from econ_env.traces import read_json, write_json

TRAINED_ON_FILE = "trained_on.json"
_ADVICE = "it tells which problems must not be tested on"


class TrainedOn(NamedTuple):
    """Fingerprints of problems."""

    run: frozenset[str]
    """Of those that the last run in the folder trains on."""
    before: frozenset[str]
    """Of those that runs before it trained on; some of their checkpoints may still be there."""


def fingerprint(problem: Problem) -> str:
    """What tells a question from others, whatever set it was loaded from."""
    return hashlib.blake2b(problem.question.strip().encode(), digest_size=8).hexdigest()


def note_trained_on(model_dir: Path, problems: Iterable[Problem], *, resume: bool) -> None:
    """Note what a run is about to train on.

    Args:
        model_dir: The folder of its checkpoints.
        problems: To train on.
        resume: Whether it is the same run that the note tells of.

    Raises:
        TraceError: The note can't be read or written.
    """
    old = read_trained_on(model_dir) or TrainedOn(frozenset(), frozenset())
    new = {fingerprint(problem) for problem in problems}
    run, before = (old.run | new, old.before) if resume else (new, old.run | old.before)
    write_json(model_dir / TRAINED_ON_FILE, {"run": sorted(run), "before": sorted(before)})


def read_trained_on(checkpoint: Path) -> TrainedOn | None:
    """What a checkpoint may have been trained on; `None` if it comes without a note.

    Args:
        checkpoint: Its folder, such as `models_exp1/final`, or the folder of the run's checkpoints.

    Raises:
        TraceError: The note can't be read.
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
    """Fingerprints of all problems that a checkpoint may have been trained on; `None` if it comes without a note.

    Args:
        checkpoint: Its folder; a repository of the hub has no note.

    Raises:
        TraceError: As `read_trained_on`.
    """
    known = read_trained_on(checkpoint)
    return None if known is None else known.run | known.before

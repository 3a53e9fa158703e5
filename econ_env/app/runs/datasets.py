"""Chooses the problems of a run: one set for training and a separate set for testing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from econ_env.app.run_config import EnvArgs
from econ_env.app.runs.trained_on import fingerprint
from econ_env.errors import ProblemError, ProblemSplitError, ProblemUnreachableError
from econ_env.problems.load import ProblemSet, load_problems
from econ_env.recorded import given_bank

log = logging.getLogger(__name__)

T = TypeVar("T")


class RunProblems(NamedTuple):
    """The problems of a run."""

    train: ProblemSet
    """Training problems."""
    test: ProblemSet
    """Test problems, in test order."""
    source: str
    """Name of the data set."""


def choose_problems(args: EnvArgs, test_episodes: int, seed: int, *, trains: bool = True) -> RunProblems:
    """Load the two sets of problems.

    If the source has a test split, test problems come from it. If it is a single table or split, it is shuffled by the
    seed; the first `test_episodes` problems are for testing and all others for training.

    Args:
        args: Source, splits, fields.
        test_episodes: Number of test problems; with 0, all problems outside the test split are for training.
        seed: Seed of the shuffling.
        trains: Whether training problems are needed; without them, a set can be tested whole.

    Raises:
        ProblemError: The problems can't be loaded, or there are not enough.
    """
    if not trains:
        return choose_test_problems(args, test_episodes, seed, frozenset())
    return _or_offline(args, lambda source: _choose(args, source, test_episodes, seed))


def choose_test_problems(args: EnvArgs, test_episodes: int, seed: int, trained: frozenset[str] | None) -> RunProblems:
    """Load problems to test a checkpoint on; with the same seed, a training run tests on the same ones.

    Args:
        args: Source, splits, fields.
        test_episodes: Number of test problems.
        seed: Seed of the shuffling.
        trained: Fingerprints of the checkpoint's training problems, which are left out; `None` if unknown.

    Raises:
        ProblemError: The problems can't be loaded, or there are not enough.
    """
    return _or_offline(args, lambda source: _choose_test(args, source, test_episodes, seed, trained))


def training_problems(args: EnvArgs, chosen: RunProblems, seed: int) -> ProblemSet:
    """Problems to learn on beside the test problems of a checkpoint: the training split without these.

    Args:
        args: Source, splits, fields.
        chosen: The result of `choose_test_problems`.
        seed: Seed of the shuffling.

    Raises:
        ProblemError: They can't be loaded, or none is left.
    """
    problems = _load(args, chosen.source, args.dataset_split, seed)
    tested = {fingerprint(problem) for problem in chosen.test}
    others = tuple(problem for problem in problems if fingerprint(problem) not in tested)
    if not others:
        raise ProblemError(f"{chosen.source} has no problems beside the {len(tested):,} to test on; ask for fewer")
    return replace(problems, problems=others)


def choose_to_record(args: EnvArgs, count: int, seed: int) -> ProblemSet:
    """Load problems of the split to train on, shuffled by the seed.

    Args:
        args: Source, split, fields.
        count: Number of problems.
        seed: Seed of the shuffling.

    Raises:
        ProblemError: The problems can't be loaded, or there are not enough.
    """
    return _or_offline(args, lambda source: _first(_load(args, source, args.dataset_split, seed), count))


def _first(problems: ProblemSet, count: int) -> ProblemSet:
    if len(problems) < count:
        raise ProblemError(f"{problems.source} has {len(problems):,} problems, not {count:,}; ask for fewer")
    return problems[:count]


def _or_offline(args: EnvArgs, choose: Callable[[str], T]) -> T:
    try:
        return choose(args.hf_dataset_path)
    except ProblemUnreachableError:
        if args.offline_dataset is None:
            raise
        log.warning("%s can't be reached: using %s instead", args.hf_dataset_path, args.offline_dataset)
        return choose(args.offline_dataset)


def _choose_test(
    args: EnvArgs, source: str, test_episodes: int, seed: int, trained: frozenset[str] | None
) -> RunProblems:
    try:
        problems = _load(args, source, args.test_split or "test", seed)
    except ProblemSplitError:
        if args.test_split is not None:
            raise
        problems = _load(args, source, None, seed)
        if trained is None:
            log.warning("the checkpoint's training problems are unknown: some of the test problems may be among them")
    fresh = tuple(problem for problem in problems if fingerprint(problem) not in (trained or ()))
    if len(fresh) < test_episodes:
        left_out = len(problems) - len(fresh)
        why = f", without the {left_out:,} that the checkpoint was trained on" if left_out else ""
        raise ProblemError(f"{source} has {len(fresh):,} problems to test on{why}, not {test_episodes}; ask for fewer")
    return RunProblems(problems[:0], replace(problems, problems=fresh[:test_episodes]), source)


def _choose(args: EnvArgs, source: str, test_episodes: int, seed: int) -> RunProblems:
    try:
        test = _load(args, source, args.test_split or "test", seed)
        train = _load(args, source, args.dataset_split, seed)
    except ProblemSplitError:
        if args.test_split is not None or args.dataset_split not in (None, "train"):
            raise
        return _divided(_load(args, source, None, seed), source, test_episodes)
    if args.test_split is args.dataset_split is None and train.split == test.split:
        return _divided(train, source, test_episodes)  # the test split is the only one
    if len(test) < test_episodes:
        raise ProblemError(f"{source} has {len(test)} problems to test on, not {test_episodes}; ask for fewer")
    if train.split == test.split != "":
        raise ProblemError(f"training and testing would use the same split {test.split!r} of {source}")
    return RunProblems(train, test[:test_episodes], source)


def _divided(problems: ProblemSet, source: str, test_episodes: int) -> RunProblems:
    if len(problems) <= test_episodes:
        raise ProblemError(
            f"{source} has {len(problems)} problems, too few to test on {test_episodes} and train on others; ask for "
            "fewer, or do not train (--train-eps 0)"
        )
    return RunProblems(problems[test_episodes:], problems[:test_episodes], source)


def _load(args: EnvArgs, source: str, split: str | None, seed: int) -> ProblemSet:
    bank = given_bank(source)
    if bank is not None:
        problems = load_problems(
            bank.problems,
            split=split,
            seed=seed,
            max_question_length=args.max_question_length,
            max_answer_length=args.max_answer_length,
        )
        return replace(problems, source=source)
    return load_problems(
        source,
        split=split,
        question_field=args.question_field_name,
        answer_field=args.answer_field_name,
        context_field=args.context_field_name,
        choices_field=args.choices_field_name,
        seed=seed,
        max_question_length=args.max_question_length,
        max_answer_length=args.max_answer_length,
        revision=args.revision,
    )

"""Computes statistics of methods with intervals and tests: pure functions of the rows of `results.jsonl`.

The unit is the problem. If a method ran with several seeds, its answers to one problem are averaged first, and
resampling draws problems; answers to the same problem are never treated as independent. Problems that failed (no valid
reply) are neither right nor wrong: they are left out and counted separately.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no type information
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]  # nor does statsmodels
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # same

from econ_env.answers import AnswerRule, heaviest, labels_of
from econ_env.app.compare.intervals import ALPHA, Estimate, FloatArray, share_over_problems
from econ_env.app.runs.results import ROLES, Row
from econ_env.llm.seeding import derive_seed
from econ_env.methods import tie_lots

ResultRows = Sequence[Row]

UNSAID = ("invalid", "silent")
"""Verdicts on replies that do not exist: the call failed, or was not made."""
POWER = 0.8
"""Power of the test that `problems_needed` plans for."""
RESAMPLES = 9999
"""Resamples of each bootstrap and permutation test; seeded, so the same rows give the same numbers."""


class Accuracy(NamedTuple):
    """Share of right answers."""

    estimate: Estimate
    """Mean over problems, with a Wilson interval."""
    correct: int
    """Right answers, over all seeds."""
    answers: int
    """Judged answers, over all seeds."""
    problems: int
    """Problems with a judged answer."""
    failed: int
    """Answers that could not be judged."""


class Difference(NamedTuple):
    """Difference in accuracy between two methods, on the problems that both were judged on."""

    estimate: Estimate
    """Mean over problems, in [-1, 1], with a bootstrap interval over problems."""
    p: float | None
    """Two-sided; `None` without pairs."""
    test: str
    """`mcnemar_exact`, or `sign_flip` if answers are averaged over seeds."""
    problems: int
    """Number of paired problems."""
    better: int
    """Problems on which the method does better than the other."""
    worse: int
    """Problems on which it does worse."""
    needed: int | None
    """Problems needed to detect a difference of this size with power `POWER`; `None` if it is zero."""


def accuracy(rows: ResultRows) -> Accuracy | None:
    """One method's accuracy; `None` if nothing was judged. For the interval see `share_over_problems`."""
    by_problem = _right(rows)
    if not by_problem:
        return None
    means = np.array([np.mean(list(right.values())) for right in by_problem.values()])
    answers = sum(map(len, by_problem.values()))
    return Accuracy(
        share_over_problems(means, answers),
        correct=sum(sum(right.values()) for right in by_problem.values()),
        answers=answers,
        problems=len(means),
        failed=sum(row["verdict"] == "failed" for row in rows),
    )


def difference(rows: ResultRows, other: ResultRows) -> Difference | None:
    """Paired difference in accuracy between two methods' rows; `None` if no problem and seed was judged in both.

    With one answer per problem the p-value is from McNemar's exact test, otherwise from a sign-flip permutation test on
    the problems' differences. McNemar's test is a special case of it.
    """
    gains, p, test = _paired(rows, other)
    if not len(gains):
        return None
    interval = _bootstrap(gains, lambda values, axis: np.mean(values, axis=axis))
    better, worse = int((gains > 0).sum()), int((gains < 0).sum())
    return Difference(interval, p, test, len(gains), better, worse, problems_needed(gains))


def paired_p(rows: ResultRows, other: ResultRows) -> float | None:
    """The p-value of `difference` alone; `None` if no problem and seed was judged in both."""
    gains, p, _ = _paired(rows, other)
    return p if len(gains) else None


def _paired(rows: ResultRows, other: ResultRows) -> tuple[FloatArray, float, str]:
    """Differences per problem, shape (n,), the p-value and the name of the test."""
    first, second = _right(rows), _right(other)
    pairs = {
        problem: [first[problem][seed] - second[problem][seed] for seed in first[problem] if seed in second[problem]]
        for problem in first
        if problem in second
    }
    pairs = {problem: values for problem, values in pairs.items() if values}
    gains = np.array([np.mean(values) for values in pairs.values()])
    if not pairs or any(len(values) > 1 for values in pairs.values()):
        return gains, _sign_flip(gains), "sign_flip"
    discordant = [[0, int((gains > 0).sum())], [int((gains < 0).sum()), 0]]
    return gains, float(mcnemar(discordant, exact=True).pvalue), "mcnemar_exact"


def problems_needed(gains: npt.ArrayLike) -> int | None:
    """Problems that a two-sided test at `ALPHA` needs to detect this mean difference with power `POWER`.

    n = (z_{1-alpha/2} sqrt(m) + z_power sqrt(m - d^2))^2 / d^2 with d the mean and m the mean square of the
    differences. For right/wrong answers m is the share of discordant pairs, and this is Connor's formula for McNemar's
    test (1987, Biometrics 43:207-211).

    Args:
        gains: Differences per problem, each in [-1, 1], shape (n,).

    Returns:
        At least 1; `None` if the mean difference is zero.
    """
    values = np.asarray(gains, dtype=np.float64)
    mean, square = float(values.mean()), float((values**2).mean())
    if mean == 0.0:
        return None
    z_alpha, z_power = map(float, stats.norm.ppf([1.0 - ALPHA / 2.0, POWER]))
    root = z_alpha * math.sqrt(square) + z_power * math.sqrt(max(square - mean**2, 0.0))
    return max(1, math.ceil((root / mean) ** 2 - 1e-9))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment of one table's p-values: with many comparisons, some p-values are small by chance."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def token_ratio(rows: ResultRows, other: ResultRows, rounds: int | None = None) -> Estimate | None:
    """Tokens of one method divided by those of another, on the problems and seeds that both finished.

    Args:
        rows: Rows of the first method, for example ECON.
        other: Rows of the second method, for example debate.
        rounds: Counts only this many rounds of the second method, which must have that many: a longer debate also
            shows what a 3-round debate costs.

    Returns:
        Ratio of the means (below 1: the first method needs fewer tokens), with a bootstrap interval over problems;
        `None` without a common problem, or if the second method had fewer rounds.
    """
    first = {_key(row): sum(row["tokens"].values()) for row in rows if row["verdict"] != "failed"}
    second = {_key(row): _tokens(row, rounds) for row in other if row["verdict"] != "failed"}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for (problem, seed), tokens in first.items():
        theirs = second.get((problem, seed), 0)
        if theirs is None:
            return None
        if theirs:
            pairs.setdefault(problem, []).append((tokens, theirs))
    if not pairs:
        return None
    means = np.array([np.mean(values, axis=0) for values in pairs.values()])
    return _bootstrap(means[:, 0], lambda x, y, axis: np.mean(x, axis=axis) / np.mean(y, axis=axis), means[:, 1])


def cost(rows: ResultRows) -> dict[str, Any]:
    """Mean costs per answer; failed answers are included, because they were paid for.

    `seconds` is the mean over answers without cached calls; `None` if there are none.
    `usd` is `None` without prices; `price` is in reward.
    """
    timed = [row["seconds"] for row in rows if not row["cache_hits"]]
    priced = [row["usd"] for row in rows if row["usd"] is not None]
    return {
        "tokens": _mean([sum(row["tokens"].values()) for row in rows]),
        "tokens_by_role": {role: _mean([row["tokens"][role] for row in rows]) for role in ROLES},
        "prompt_tokens": _mean([row["prompt_tokens"] for row in rows]),
        "completion_tokens": _mean([row["completion_tokens"] for row in rows]),
        "thought_tokens": _mean([row.get("thought_tokens", 0) for row in rows]),
        "calls": _mean([row["calls"] for row in rows]),
        "rounds": _mean([sum(row["rounds"]) for row in rows]),
        "price": _mean([row.get("price", 0.0) for row in rows]),
        "seconds": _mean(timed),
        "timed": len(timed),
        "usd": _mean(priced) if len(priced) == len(rows) else None,
    }


def unparsed(rows: ResultRows) -> dict[str, float | None]:
    """Shares of judged answers, and of the last round's valid replies, without a readable final answer."""
    judged = [row["verdict"] == "no_answer" for row in rows if row["verdict"] != "failed"]
    replies = [r["verdict"] == "no_answer" for row in rows for r in row["replies"] if r["verdict"] not in UNSAID]
    return {"answers": _mean(judged), "replies": _mean(replies)}


def agreement(rows: ResultRows, rule: AnswerRule) -> float | None:
    """Share of pairs of executors whose last replies have the same answer by a rule, mean over answers.

    A reply without an answer agrees with no other; invalid replies and silent executors are left out. `None` without
    pairs.
    """
    shares = []
    for row in rows:
        answers = [reply["answer"] for reply in row["replies"] if reply["verdict"] not in UNSAID]
        same = [a is not None and b is not None and rule.same(a, b) for a, b in combinations(answers, 2)]
        if same:
            shares.append(float(np.mean(same)))
    return _mean(shares)


def transitions(rows: ResultRows) -> list[dict[str, int]]:
    """Count how the team's answer changes from each round to the next, over all answers.

    Returns:
        One entry per step, the first from round 0 to round 1, with `right_right`, `right_wrong`, `wrong_right`,
        `wrong_wrong`. No answer counts as wrong; a step from or to a failed round is not counted.
    """
    steps: list[Counter[str]] = []
    for row in rows:
        for step, (before, after) in enumerate(pairwise(row["round_verdicts"])):
            if step == len(steps):
                steps.append(Counter())
            if "failed" not in (before, after):
                steps[step][f"{_word(before)}_{_word(after)}"] += 1
    names = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")
    return [{name: step[name] for name in names} for step in steps]


def executors(rows: ResultRows, rule: AnswerRule) -> dict[str, float | None]:
    """How good the last round's replies are by themselves, over judged answers.

    `each`: share of right replies, of the executors that have spoken. `any` (pass@n): share of answers with at least
    one right reply out of n. `majority` (majority@n): share of answers whose most frequent reply is right, as
    `own_majority` finds it.
    """
    judged = [spoken(row) for row in rows if row["verdict"] != "failed"]
    right = [row["verdict"] == "correct" for row in own_majority(rows, rule) if row["verdict"] != "failed"]
    return {
        "each": _mean([_mean([reply["verdict"] == "correct" for reply in replies]) for replies in judged]),
        "any": _mean([any(reply["verdict"] == "correct" for reply in replies) for replies in judged]),
        "majority": _mean(right),
    }


def own_majority(rows: ResultRows, rule: AnswerRule) -> list[Row]:
    """The rows as if the plain majority of the replies that each answer is made from had answered instead.

    All replies count the same, whatever weight they had; silent executors and replies without an answer don't vote. The
    rule decides which answers are the same, and ties are decided by the lots of the method `majority`. A failed answer
    stays failed.
    """
    return [row if row["verdict"] == "failed" else {**row, "verdict": _majority_verdict(row, rule)} for row in rows]


def _majority_verdict(row: Row, rule: AnswerRule) -> str:
    replies = spoken(row)
    problem = _key(row)[0].removeprefix(f"{row['source']} ")  # a report of several sources puts them before the names
    lots = tie_lots(derive_seed("episode", row["seed"], problem), len(replies))
    first = heaviest(labels_of([reply["answer"] for reply in replies], rule), lots)
    return "no_answer" if first is None else str(replies[first]["verdict"])


def spoken(row: Row) -> list[Mapping[str, Any]]:
    """The replies that a row's answer is made from, without executors that stayed silent."""
    return [reply for reply in row["replies"] if reply["verdict"] != "silent"]


def _right(rows: ResultRows) -> dict[str, dict[int, bool]]:
    """Whether each judged answer is right, by problem and seed."""
    right: dict[str, dict[int, bool]] = {}
    for row in rows:
        if row["verdict"] != "failed":
            problem, seed = _key(row)
            right.setdefault(problem, {})[seed] = row["verdict"] == "correct"
    return right


def _key(row: Row) -> tuple[str, int]:
    return str(row["problem"]), int(row["seed"])


def _tokens(row: Row, rounds: int | None) -> int | None:
    """Tokens of an answer, or of its strategy and first `rounds` rounds; `None` if it had fewer rounds."""
    if rounds is None:
        return int(sum(row["tokens"].values()))
    if len(row["round_tokens"]) < rounds:
        return None
    return int(row["tokens"]["strategy"] + sum(row["round_tokens"][:rounds]))


def _word(verdict: str) -> str:
    return "right" if verdict == "correct" else "wrong"


def _mean(values: Sequence[float | bool | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _sign_flip(gains: FloatArray) -> float:
    if not gains.any():
        return 1.0
    test = stats.permutation_test(
        (gains,),
        lambda values, axis: np.mean(values, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def _bootstrap(first: FloatArray, statistic: Any, *others: FloatArray) -> Estimate:
    """A statistic of paired samples with its percentile interval; without bounds for a single pair."""
    samples = (first, *others)
    value = float(statistic(*samples, axis=0))
    if len(first) < 2:
        return Estimate(value, None, None)
    interval = stats.bootstrap(
        samples,
        statistic,
        paired=True,
        vectorized=True,
        confidence_level=1.0 - ALPHA,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))

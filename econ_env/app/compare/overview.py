"""Computes a comparison's results per method from the rows of `results.jsonl`, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from econ_env.answers import AnswerRule
from econ_env.app.compare import statistics
from econ_env.app.runs.results import Row, by_method

REFERENCE = "bne"
"""The method that other methods' costs are compared with."""
DEBATE_ROUNDS = 3
"""Rounds of the debate that ECON's tokens are compared with."""


def overview(
    rows: Sequence[Row],
    baseline: str | None = None,
    reference: str = REFERENCE,
    order: Sequence[str] = (),
    *,
    rule: AnswerRule,
) -> dict[str, Any]:
    """Accuracy, paired differences, cost and behaviour of every method.

    Args:
        rows: Rows of all methods and seeds.
        baseline: The method that differences are relative to; by default the first.
        reference: The method that token ratios are relative to.
        order: Methods to list first; the others follow in order of appearance.
        rule: The rule that judged the answers.

    Returns:
        `baseline`, `reference`, `seeds`, `methods` by name, and `debate`: tokens of ECON with BNE divided by tokens of
        a debate of `DEBATE_ROUNDS` rounds, `None` without such a debate. Intervals are 95%; `p` is two-sided, `p_holm`
        is adjusted for the number of methods.
    """
    found = by_method(rows)
    groups = {name: found[name] for name in dict.fromkeys([*order, *found]) if name in found}
    if baseline is None or baseline not in groups:
        baseline = next(iter(groups), None)
    methods = {name: _method(own, rule) for name, own in groups.items()}
    for name, part in methods.items():
        gain = statistics.difference(groups[name], groups[baseline]) if baseline and name != baseline else None
        part["difference"] = None if gain is None else {**gain._asdict(), "estimate": gain.estimate._asdict()}
        ratio = statistics.token_ratio(groups[name], groups.get(reference, []))
        part["token_ratio"] = None if ratio is None else ratio._asdict()
    tested = [
        part["difference"] for part in methods.values() if part["difference"] and part["difference"]["p"] is not None
    ]
    for part, p in zip(tested, statistics.adjusted([part["p"] for part in tested]), strict=True):
        part["p_holm"] = p
    return {
        "baseline": baseline,
        "reference": reference,
        "seeds": sorted({row["seed"] for row in rows}),
        "methods": methods,
        "debate": _debate(groups),
    }


def _method(rows: list[Row], rule: AnswerRule) -> dict[str, Any]:
    found = statistics.accuracy(rows)
    return {
        "units": rows[-1]["units"],
        "n": len(rows),
        "failed": sum(row["verdict"] == "failed" for row in rows),
        "accuracy": None if found is None else {**found._asdict(), "estimate": found.estimate._asdict()},
        "cost": statistics.cost(rows),
        "unparsed": statistics.unparsed(rows),
        "agreement": statistics.agreement(rows, rule),
        "transitions": statistics.transitions(rows),
        "executors": statistics.executors(rows, rule),
    }


def _debate(groups: Any) -> dict[str, Any] | None:
    """Compare with the longest debate that has enough rounds; `None` if no debate has."""
    debates = [name for name in groups if name.partition("@")[0] == "debate"]
    for name in sorted(debates, key=lambda debate: -min(len(row["round_tokens"]) for row in groups[debate])):
        ratio = statistics.token_ratio(groups.get(REFERENCE, []), groups[name], DEBATE_ROUNDS)
        if ratio is not None:
            return {"method": name, "rounds": DEBATE_ROUNDS, "ratio": ratio._asdict(), "fewer": 1.0 - ratio.value}
    return None

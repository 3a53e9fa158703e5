"""Computes a comparison's results per method from the rows of `results.jsonl`, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from econ_env.answers import AnswerRule
from econ_env.app.compare import statistics
from econ_env.app.compare.readable import BOUNDS, BUILT_IN, TEAMS, VOTES, base_of, key_of, run_of
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
        `baseline`, `reference`, `seeds`, `methods` by name, `debate`: tokens of ECON with BNE divided by tokens of
        a debate of `DEBATE_ROUNDS` rounds, `None` without such a debate; and `teams`: see `_teams`. `own_majority` of a
        method compares its answers with the plain majority of its own replies (see `_against_majority`). Intervals are
        95%; `p` is two-sided, `p_holm` is adjusted for the number of methods.
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
        part["own_majority"] = None if base_of(name) in VOTES else _against_majority(groups[name], rule)
    for kind in ("difference", "own_majority"):
        _adjust([part[kind] for part in methods.values() if part[kind] is not None])
    return {
        "baseline": baseline,
        "reference": reference,
        "seeds": sorted({row["seed"] for row in rows}),
        "methods": methods,
        "debate": _debate(groups),
        "teams": _teams(groups, methods),
    }


def _adjust(tested: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` to comparisons that have `p`."""
    for part, p in zip(tested, statistics.adjusted([part["p"] for part in tested]), strict=True):
        part["p_holm"] = p


def _against_majority(rows: Sequence[Row], rule: AnswerRule) -> dict[str, Any] | None:
    """Compare a method with the plain majority of its own replies on the same problems and seeds.

    Returns:
        `team` and `majority`, the shares of right answers, and the fields of `Difference` for team minus majority;
        `None` if no answer was judged, or none was made from two replies.
    """
    judged = [row for row in rows if row["verdict"] != "failed"]
    if not any(len(statistics.spoken(row)) > 1 for row in judged):
        return None
    voted = statistics.own_majority(judged, rule)
    gain, own, majority = statistics.difference(judged, voted), statistics.accuracy(judged), statistics.accuracy(voted)
    assert gain is not None and own is not None and majority is not None, "there are judged rows"  # noqa: PT018
    shares = {"team": own.estimate.value, "majority": majority.estimate.value}
    return {**shares, **gain._asdict(), "estimate": gain.estimate._asdict()}


def _teams(groups: Mapping[str, Sequence[Row]], methods: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the headline tells of the team of each run.

    Returns:
        For each run its `team`, the learned one or another with replies of several executors; and `best`, the method
        of the same run that is right most often if that is another one, with `shares` of both and the fields of
        `Difference` for the best minus the team; `p_holm` is adjusted for the number of the run's other methods.
    """
    runs: dict[str, list[str]] = {}
    for label in methods:
        if base_of(label) not in BOUNDS and methods[label]["accuracy"] is not None:
            runs.setdefault(run_of(label), []).append(label)
    found = []
    for labels in runs.values():
        team = _team(labels, methods)
        if team is not None:
            found.append({"team": team, "best": _best(team, labels, groups, methods)})
    return found


def _team(labels: Sequence[str], methods: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The team among a run's methods: the first of `TEAMS`; else the method that is furthest below its own majority."""
    by_key = {key_of(label): label for label in reversed(labels)}
    gains = {label: own["estimate"]["value"] for label in labels if (own := methods[label]["own_majority"]) is not None}
    return next((by_key[key] for key in TEAMS if key in by_key), min(gains, key=gains.__getitem__, default=None))


def _best(
    team: str, labels: Sequence[str], groups: Mapping[str, Sequence[Row]], methods: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The method that is right more often than the team, and than all others; see `_teams`."""
    if base_of(team) in BUILT_IN and base_of(team) not in TEAMS:  # a vote among others is nobody's team
        return None
    shares = {label: methods[label]["accuracy"]["estimate"]["value"] for label in labels}
    best = max(shares, key=lambda label: (shares[label], label == team))
    gain = statistics.difference(groups[best], groups[team]) if best != team else None
    if gain is None or gain.estimate.value <= 0.0:  # not on the problems that both were judged on
        return None
    others = [label for label in labels if label != team]
    tested = {label: statistics.paired_p(groups[label], groups[team]) for label in others}
    known = {label: p for label, p in tested.items() if p is not None}
    p_holm = dict(zip(known, statistics.adjusted(list(known.values())), strict=True))[best]
    two = {"best": shares[best], "team": shares[team]}
    return {"method": best, "shares": two, **gain._asdict(), "estimate": gain.estimate._asdict(), "p_holm": p_holm}


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

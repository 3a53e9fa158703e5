"""Says in sentences how a team did against its own executors and against the best other method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CLEAR = 0.05
"""A difference whose adjusted p-value is below this is more than chance."""
RUNS_NAMED = 3
"""Maximum runs that one sentence names."""
TESTS = {"mcnemar_exact": "McNemar's exact test", "sign_flip": "a sign-flip permutation test over problems"}
"""The names of the tests of `Difference.test`."""


def headline(seen: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Sentences for the top: where a team is right less often than the majority of its own executors, or than another.

    Args:
        seen: The result of `overview`.
        names: The readable name of each method's label.

    Returns:
        At most two sentences for one run, two for several; empty if the team is below neither.
    """
    behind = [found["team"] for found in seen["teams"] if _is_behind(seen["methods"][found["team"]]["own_majority"])]
    beaten = [found for found in seen["teams"] if found["best"] is not None]
    return [*_below_majority(seen, behind, names), *_below_best(seen, beaten, names)]


def _is_behind(own: Mapping[str, Any] | None) -> bool:
    return own is not None and own["estimate"]["value"] < 0.0


def _below_majority(seen: Mapping[str, Any], behind: Sequence[str], names: Mapping[str, str]) -> list[str]:
    what = "right less often than the majority of its own executors' last replies"
    found = {names[label]: seen["methods"][label]["own_majority"] for label in behind}
    if len(seen["teams"]) > 1 and behind:
        told = [f"{name} {_shares(own['team'], own['majority'])} ({_chance(own)})" for name, own in found.items()]
        return [f"In {len(behind)} of {len(seen['teams'])} runs the team was {what}: {_several(told)}."]
    return [
        f"{name} was {what}: {_shares(own['team'], own['majority'])}, {_judged(own)}." for name, own in found.items()
    ]


def _below_best(seen: Mapping[str, Any], beaten: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    told = []
    for found in beaten:
        best, shares = found["best"], _shares(found["best"]["shares"]["best"], found["best"]["shares"]["team"])
        name = names[best["method"]]
        if len(seen["teams"]) == 1:
            return [f"{name} was right more often than {names[found['team']]}: {shares}, {_judged(best)}."]
        told.append(f"{name} {shares} ({_chance(best)})")
    if not told:
        return []
    return [
        f"In {len(told)} of {len(seen['teams'])} runs another method was right more often than the team: "
        f"{_several(told)}."
    ]


def _shares(first: float, second: float) -> str:
    return f"{100 * first:.1f}% against {100 * second:.1f}%"


def _judged(found: Mapping[str, Any]) -> str:
    """Whether a difference is more than chance, with the test."""
    problems = f"{found['problems']:,} {'problem' if found['problems'] == 1 else 'problems'}"
    words = "more than chance" if found["p_holm"] < CLEAR else "within chance"
    adjusted = " after Holm's adjustment" if found["p_holm"] != found["p"] else ""
    return f"a difference {words} on {problems} (p {equals(found['p_holm'])}{adjusted}, {TESTS[found['test']]})"


def _chance(found: Mapping[str, Any]) -> str:
    return f"{'more than' if found['p_holm'] < CLEAR else 'within'} chance, p {equals(found['p_holm'])}"


def equals(value: float) -> str:
    """A p-value as text, with the sign before it."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _several(told: Sequence[str]) -> str:
    more = len(told) - RUNS_NAMED
    return "; ".join(told[:RUNS_NAMED]) + (f"; and {more} more" if more > 0 else "")

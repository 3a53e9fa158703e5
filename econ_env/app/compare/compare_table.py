"""Prints a comparison: accuracy, cost and behaviour in tables of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.table import Table

from econ_env.app.compare.headline import TESTS, headline

HEADING = 18
"""Most letters of a line of a heading that holds a method's name."""


def print_overview(
    console: Console, seen: Mapping[str, Any], matching: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> None:
    """Print the result of `overview`, and how budgets were matched.

    Args:
        console: Where.
        seen: The result.
        matching: How budgets were matched, by label.
        names: The readable name of each label.
    """
    methods, baseline = {names[label]: part for label, part in seen["methods"].items()}, names[seen["baseline"]]
    for line in headline(seen, names):
        console.print()
        console.print(line, style="bold", highlight=False, markup=False)
    against = fill(f"vs {baseline}", HEADING) + "\n[95%]"
    headings: tuple[str, ...] = ("accuracy", "right", "share [95%]", against, "p", "p Holm", "needed")
    _show(console, headings, (_accuracy(name, part) for name, part in methods.items()))
    priced = any(part["cost"]["usd"] is not None for part in methods.values())
    reference = names.get(seen["reference"], seen["reference"])
    headings = (
        "per problem",
        "tokens",
        fill(f"x {reference}", HEADING // 2),
        "plan",
        "exec.",
        "commit",
        "calls",
        "rounds",
        "s",
    )
    headings = (*headings, "USD") if priced else headings
    charged = any(part["cost"]["price"] for part in methods.values())
    headings = (*headings, "price") if charged else headings
    _show(console, headings, (_cost(name, part, priced, charged) for name, part in methods.items()))
    headings = ("executors", "unparsed", "agree", "each", "any", "majority", "wrong>right", "right>wrong")
    _show(console, headings, (_behaviour(name, part) for name, part in methods.items()))
    for line in _notes(seen, matching, names):
        console.print(line, highlight=False, soft_wrap=False)


def _show(console: Console, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for place, heading in enumerate(headings):
        # long names of added methods are wrapped; numbers never are
        table.add_column(heading, justify="right" if place else "left", no_wrap=place > 0, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console.print()
    console.print(table)


def _accuracy(name: str, part: Mapping[str, Any]) -> list[str]:
    found, gain = part["accuracy"], part["difference"]
    cells = [name, "-", "-", "-", "-", "-", "-"]
    if found is not None:
        cells[1] = f"{found['correct']}/{found['answers']}"
        cells[2] = _interval(found["estimate"], "{:.0%}", "{:.0f}")
    if gain is not None:
        cells[3] = _interval(gain["estimate"], "{:+.1%}", "{:+.0f}")
        cells[4] = _p(gain["p"])
        cells[5] = _p(gain["p_holm"])
        cells[6] = "-" if gain["needed"] is None else f"{gain['needed']:,}"
    return cells


def _cost(name: str, part: Mapping[str, Any], priced: bool, charged: bool) -> list[str]:
    cost, ratio = part["cost"], part["token_ratio"]
    roles = cost["tokens_by_role"]
    cells = [name, _number(cost["tokens"]), "-" if ratio is None else f"{ratio['value']:.2f}"]
    cells += [_number(roles[role]) for role in ("strategy", "executor", "commitment")]
    cells += [
        f"{cost['calls']:.1f}",
        f"{cost['rounds']:.2f}",
        "-" if cost["seconds"] is None else f"{cost['seconds']:.1f}",
    ]
    if priced:
        cells.append("-" if cost["usd"] is None else f"{cost['usd']:.5f}")
    return [*cells, f"{cost['price']:.3f}"] if charged else cells


def _behaviour(name: str, part: Mapping[str, Any]) -> list[str]:
    own, steps = part["executors"], part["transitions"]
    moved = ["-" if not steps else str(sum(step[key] for step in steps)) for key in ("wrong_right", "right_wrong")]
    shares = (part["unparsed"]["replies"], part["agreement"], own["each"], own["any"], own["majority"])
    return [name, *("-" if share is None else f"{share:.0%}" for share in shares), *moved]


def _notes(seen: Mapping[str, Any], matching: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    methods, lines = {names[label]: part for label, part in seen["methods"].items()}, [""]
    other = {label: names[label] for label in seen["methods"] if names[label] != label}
    if other:
        lines.append("names in files: " + ", ".join(f"{name} is {label}" for label, name in other.items()))
    reference = names.get(seen["reference"], seen["reference"])
    for label, found in matching.items():
        lines.append(
            f"{names[label]}: {found['units']} {found['unit']} cost {found['ratio']:.2f} times the {found['by']} of "
            f"{reference} (target 1)"
        )
    thought = {name: part["cost"]["thought_tokens"] for name, part in methods.items() if part["cost"]["thought_tokens"]}
    if thought:
        lines.append("tokens of thought: " + ", ".join(f"{name} {count:,.0f}" for name, count in thought.items()))
    failed = {name: part["failed"] for name, part in methods.items() if part["failed"]}
    if failed:
        lines.append("failed, not counted: " + ", ".join(f"{name} {count}" for name, count in failed.items()))
    debate = seen["debate"]
    if debate is not None:
        ratio = debate["ratio"]
        word = "fewer" if ratio["value"] <= 1 else "more"
        lines.append(
            f"{reference} used {abs(debate['fewer']):.0%} {word} tokens than {debate['rounds']} rounds of debate "
            f"(ratio {_interval(ratio, '{:.2f}', '{:.2f}', 1)})"
        )
    tests = {part["difference"]["test"] for part in methods.values() if part["difference"]}
    if tests:
        lines.append("p: " + ", ".join(TESTS[test] for test in sorted(tests)) + "; needed: problems for 80% power")
    if len(seen["seeds"]) > 1:
        lines.append(
            f"{len(seen['seeds'])} seeds, averaged per problem; intervals and tests count problems, not answers"
        )
    return lines


def _interval(estimate: Mapping[str, float | None], middle: str, bound: str, scale: float = 100) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    assert value is not None
    if low is None or high is None:
        return middle.format(value)
    return f"{middle.format(value)} [{bound.format(scale * low)}, {bound.format(scale * high)}]"


def _p(value: float | None) -> str:
    return "-" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"

"""Makes the report's tables from rows and their overview: cells with text, and intervals where available."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from econ_env.app.compare.headline import TESTS
from econ_env.app.report.calibration import BELIEF, CONFIDENCE, calibration
from econ_env.app.report.cells import (
    DASH,
    Cell,
    Column,
    ReportTable,
    estimate,
    key_shown,
    named,
    number,
    p_value,
    percent,
    spread,
    without_empty,
)
from econ_env.app.report.probe import probe
from econ_env.app.report.runs import Runs
from econ_env.app.runs.results import Row
from econ_env.control_names import second_of

REASONS = {
    "commitment_repeated": "answer repeated",
    "small_change": "controls at rest",
    "oscillation": "cycle seen",
    "max_rounds": "rounds used up",
    "all_invalid": "nothing valid",
    "silence": "nobody spoke",
}
"""Reasons why refinement ended, as shown."""


TITLES = {"temperature": "Temperature T", "repetition_penalty": "Repetition penalty p"}
"""How controls are named in tables, where it is not by their names."""


def all_tables(runs: Runs) -> dict[str, ReportTable]:
    """The tables by short name, without those that would be empty."""
    made = {
        "accuracy": accuracy(runs),
        "cost": cost(runs),
        "team": team(runs),
        "transitions": transitions(runs),
        "refinement": refinement(runs),
        "controls": controls(runs),
        "calibration": calibration(runs, CONFIDENCE),
        "beliefs": calibration(runs, BELIEF),
        "probe": probe(runs),
    }
    return {name: without_empty(table) for name, table in made.items() if table.rows}


def accuracy(runs: Runs) -> ReportTable:
    """Accuracy with its interval and the paired difference to the baseline."""
    seen = runs.overview
    gains = [part["difference"]["estimate"] for part in seen["methods"].values() if part["difference"]]
    ends = [abs(x) for gain in gains for x in gain.values() if x is not None]
    reach = max([0.05, *ends])
    columns = [
        Column("Method", numeric=False),
        Column("Right", "of judged answers"),
        Column("Accuracy", "%, 95% interval"),
        Column(f"Against {runs.names[seen['baseline']]}", "percentage points, 95% interval", span=(-reach, reach)),
        Column("p", "two-sided"),
        Column("p, Holm", "for all methods"),
        Column("Needed", "problems"),
        Column("Failed", "not judged"),
    ]
    about = descriptions(runs)
    rows = []
    for label, part in seen["methods"].items():
        name = Cell(runs.names[label], key_shown(runs, label), hint=about[label])
        rows.append([name, *_accuracy_cells(part, label == seen["baseline"])])
    notes = [
        "Accuracies have Wilson intervals, differences have bootstrap intervals over problems. "
        "An answer that can't be read counts as wrong; a problem without any model answer is failed and not counted.",
        "Needed: problems required to detect a difference of this size at the 5% level with 80% power.",
    ]
    tests = {part["difference"]["test"] for part in seen["methods"].values() if part["difference"]}
    if tests:
        notes.append("p is from " + " and ".join(TESTS[test] for test in sorted(tests)) + ".")
    if len(seen["seeds"]) > 1:
        notes.append(f"{len(seen['seeds'])} seeds, averaged per problem; intervals and tests count problems.")
    return ReportTable("Accuracy", columns, rows, tuple(notes))


def descriptions(runs: Runs) -> dict[str, str]:
    """A description of each method from its run's summary; empty if there is none."""
    found = {}
    for label, rows in runs.methods.items():
        run = runs.runs[rows[0]["run"]]
        name = label.rpartition(": ")[2]
        text = str(run.summary.get("methods", {}).get(name, {}).get("name", ""))
        found[label] = "" if text == name else text
    return found


def _accuracy_cells(part: Mapping[str, Any], is_baseline: bool) -> list[Cell]:
    found, gain = part["accuracy"], part["difference"]
    cells = [*[Cell(DASH)] * 6, Cell(str(part["failed"]))]
    if found is not None:
        cells[0] = Cell(f"{found['correct']}/{found['answers']}")
        cells[1] = estimate(found["estimate"], "{:.1f}", "{:.1f}")
    if is_baseline:
        cells[2] = Cell("baseline")
    if gain is not None:
        cells[2] = estimate(gain["estimate"], "{:+.1f}", "{:+.1f}")
        cells[3], cells[4] = Cell(p_value(gain["p"])), Cell(p_value(gain["p_holm"]))
        cells[5] = Cell(DASH if gain["needed"] is None else f"{gain['needed']:,}", f"have {gain['problems']:,}")
    return cells


def cost(runs: Runs) -> ReportTable:
    """Tokens by role, calls, seconds and money per problem."""
    names = runs.names
    reference = names.get(runs.overview["reference"], runs.overview["reference"])
    columns = [
        Column("Method", numeric=False),
        Column("Tokens", "per problem"),
        Column("Ratio", f"to {reference}, 95% interval"),
        Column("Strategy", "tokens"),
        Column("Executors", "tokens"),
        Column("Commitments", "tokens"),
        Column("Generated", "% of tokens"),
        Column("Calls", "per problem"),
        Column("Rounds", "per problem"),
        Column("Time", "s per problem"),
        Column("Cost", "US$ per 1,000 problems"),
        Column("Price", "reward per problem"),
    ]
    rows = []
    for label, part in runs.overview["methods"].items():
        own, ratio = part["cost"], part["token_ratio"]
        roles = own["tokens_by_role"]
        rows.append(
            [
                named(runs, label),
                Cell(number(own["tokens"], "{:,.0f}")),
                Cell(DASH) if ratio is None else estimate(ratio, "{:.2f}", "{:.2f}", scale=1.0, bar=False),
                *(Cell(number(roles[role], "{:,.0f}")) for role in ("strategy", "executor", "commitment")),
                Cell(f"{100 * own['completion_tokens'] / own['tokens']:.0f}" if own["tokens"] else DASH),
                Cell(number(own["calls"], "{:.1f}")),
                Cell(number(own["rounds"], "{:.2f}")),
                Cell(number(own["seconds"], "{:.2f}")),
                Cell(DASH if own["usd"] is None else f"{1000 * own['usd']:,.2f}"),
                Cell(f"{own['price']:.3f}" if own["price"] else DASH),
            ]
        )
    notes = (
        "Means over all answers; failed answers are included, because they were paid for. Time is the mean over "
        "answers without cached calls; cost needs the settings price_prompt and price_completion.",
        *(
            f"{names[label]}: {found['units']} {found['unit']} were chosen to match the {found['by']} of {reference}; "
            f"they cost {found['ratio']:.2f} times as many."
            for label, found in runs.matching.items()
        ),
        *(
            f"{names[label]}: {part['cost']['thought_tokens']:,.0f} of the generated tokens per problem were thought."
            for label, part in runs.overview["methods"].items()
            if part["cost"]["thought_tokens"]
        ),
        *_debate(runs),
    )
    return ReportTable("Cost per method", columns, rows, notes)


def _debate(runs: Runs) -> Iterable[str]:
    found = runs.overview["debate"]
    if found is not None:
        word = "fewer" if found["fewer"] >= 0 else "more"
        name = runs.names[runs.overview["reference"]]
        yield (
            f"{name} used {abs(found['fewer']):.0%} {word} tokens than {found['rounds']} rounds of debate on the "
            "problems that both finished."
        )


def team(runs: Runs) -> ReportTable:
    """How good the executors are by themselves, how much they agree, and what the team makes of them."""
    gains = [part["own_majority"]["estimate"] for part in runs.overview["methods"].values() if part["own_majority"]]
    reach = max([0.05, *(abs(x) for gain in gains for x in gain.values() if x is not None)])
    columns = [
        Column("Method", numeric=False),
        Column("Each reply right", "%"),
        Column("Any reply right", "%, pass@n"),
        Column("Majority right", "%, majority@n"),
        Column("Team right", "%"),
        Column("Against own majority", "percentage points, 95% interval", span=(-reach, reach)),
        Column("p, Holm", "for all teams"),
        Column("Agreement", "% of pairs"),
        Column("Unread replies", "%"),
        Column("Unread answers", "%"),
    ]
    rows = []
    for label, part in runs.overview["methods"].items():
        own, found, gain = part["executors"], part["accuracy"], part["own_majority"]
        shares = [own["each"], own["any"], own["majority"], found["estimate"]["value"] if found else None]
        rest = [part["agreement"], part["unparsed"]["replies"], part["unparsed"]["answers"]]
        against = [Cell(DASH), Cell(DASH)]
        if gain is not None:
            against = [estimate(gain["estimate"], "{:+.1f}", "{:+.1f}"), Cell(p_value(gain["p_holm"]))]
        rows.append(
            [
                named(runs, label),
                *(Cell(percent(share)) for share in shares),
                *against,
                *(Cell(percent(share)) for share in rest),
            ]
        )
    notes = (
        "Computed from the last replies; executors that stayed silent are left out. Unread: no final answer was found "
        "in the text. Agreement needs two replies or more.",
        "Majority: the most frequent answer of these replies, each counted once, ties decided by lot. Against own "
        "majority: the team's answers minus that vote's, on the same problems; votes by rule are left out.",
    )
    return ReportTable("The executors by themselves", columns, rows, notes)


def transitions(runs: Runs) -> ReportTable:
    """Changes of the team's answer from round to round."""
    columns = [
        Column("Method", numeric=False),
        Column("Step", "round", numeric=False),
        Column("Stayed right", "answers"),
        Column("Gained", "wrong to right"),
        Column("Lost", "right to wrong"),
        Column("Stayed wrong", "answers"),
    ]
    rows = []
    for label, part in runs.overview["methods"].items():
        for place, step in enumerate(part["transitions"], start=1):
            keys = ("right_right", "wrong_right", "right_wrong", "wrong_wrong")
            rows.append(
                [named(runs, label), Cell(f"{place} to {place + 1}"), *(Cell(f"{step[key]:,}") for key in keys)]
            )
    return ReportTable("From round to round", columns, rows, ("Later steps leave out episodes that stopped early.",))


def refinement(runs: Runs) -> ReportTable:
    """Why refinement ended, the last change of the controls, and the remaining gap."""
    columns = [
        Column("Method", numeric=False),
        *(Column(words[0].upper() + words[1:], "% of decisions") for words in REASONS.values()),
        Column("Last residual", "median, of range 2"),
        Column("Gap", "mean, reward"),
    ]
    rows = []
    for label, own in runs.methods.items():
        reasons = Counter(reason for row in own for reason in row["stop_reasons"])
        last = [row["residuals"][-1] for row in own if row["residuals"]]
        gaps = [row["gap"] for row in own if row["gap"] is not None]
        if not last and not gaps:
            continue
        cells = [
            Cell(f"{100 * reasons[reason] / reasons.total():.0f}" if reasons[reason] else DASH) for reason in REASONS
        ]
        cells += [Cell(f"{np.median(last):.3f}" if last else DASH), Cell(f"{np.mean(gaps):.4f}" if gaps else DASH)]
        rows.append([named(runs, label), *cells])
    notes = (
        "Residual: the largest change of a control in a best response, with every control scaled to [-1, 1]. "
        "Gap: what each executor could still gain by changing its controls alone, summed over executors and estimated "
        "by the critics; 0 is an equilibrium.",
    )
    return ReportTable("How refinement ended", columns, rows, notes)


def controls(runs: Runs) -> ReportTable:
    """The submitted controls by kind of problem."""
    names = control_columns(runs)
    columns = [
        Column("Method", numeric=False),
        Column("Kind of problem", numeric=False),
        *(Column(title, "mean ± standard deviation") for title in names.values()),
        Column("Right", "of judged answers"),
        Column("Accuracy", "%"),
    ]
    rows = []
    for label, own in runs.methods.items():
        chosen = {tuple(reply.get(name) for name in names) for row in own for reply in row["replies"]}
        for kind, part in (by_kind(own) if len(chosen) > 1 else {"all": own}).items():
            judged = [row["verdict"] == "correct" for row in part if row["verdict"] != "failed"]
            replies = [reply for row in part for reply in row["replies"]]
            rows.append(
                [
                    named(runs, label),
                    Cell(kind),
                    *(spread([reply[name] for reply in replies if name in reply]) for name in names),
                    Cell(f"{sum(judged)}/{len(judged)}"),
                    Cell(percent(sum(judged) / len(judged) if judged else None)),
                ]
            )
    return ReportTable(
        "Controls by kind of problem",
        columns,
        rows,
        ("Controls of the last round, over executors and problems. One line per method if they never change.",),
    )


def by_kind(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by kind of problem, in alphabetical order; those without a kind are under `all`."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["kind"] or "all", []).append(row)
    return dict(sorted(groups.items()))


def control_names(runs: Runs) -> tuple[str, ...]:
    """Names of the controls in these runs; those of the first run come first."""
    found: list[str] = []
    for run in runs.runs:
        sampling = run.about.get("config", {}).get("sampling", {})
        second = sampling.get("second_action", "repetition_penalty")
        found += sampling.get("controls", ("temperature", second))  # earlier versions name no controls
    return tuple(dict.fromkeys(found))


def control_columns(runs: Runs) -> dict[str, str]:
    """A title for each control in these runs, by its name in a row's replies."""
    names = control_names(runs)
    second = second_of(names)
    return {"p" if name == second else name: TITLES.get(name, name) for name in names}

"""Prints what is in a bank, on a terminal of 80 columns."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from econ_env.app.record.facts import Facts
from econ_env.app.runs.team_facts import print_facts

CELLS_SHOWN = 40
"""Cells that the table shows; JSON has all."""
MODELS_CROSSED = range(3, 8)
"""Numbers of models that are shown pair by pair."""
_SHORT: Mapping[str, str] = {"temperature": "T", "repetition_penalty": "penalty", "top_p": "top_p", "min_p": "min_p"}
_MANIFEST = ("source", "dataset", "engine", "prompts", "answer_rule", "controls_version", "made")


def print_bank(console: Console, facts: Facts, source: str) -> None:
    """Print the result of `bank_facts`.

    Args:
        console: Where to print.
        facts: What is in the bank.
        source: Its file or name, for the line that plays it.
    """
    varied = _varied(facts["cells"], facts["controls"])
    print_facts(_about(facts, varied))
    _print_cells(console, facts, varied)
    if facts["models_together"] is not None:
        for line in _together(facts["models_together"]):
            console.print(line, highlight=False, markup=False)
        if len(facts["models"]) in MODELS_CROSSED:
            _print_pairs(console, facts)
    console.print()
    for line in (*_notes(facts), *_play(facts, source)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _about(facts: Facts, varied: Sequence[str]) -> dict[str, str]:
    """The lines before the table: name, size, manifest, and controls that never change."""
    models = facts["models"]
    replied = f"by {len(models)} models" if len(models) > 1 else f"by {models[0]}"
    lines = {"bank": f"{facts['name']}: {facts['replies']:,} replies to {facts['problems']:,} problems {replied}"}
    known = facts["manifest"]
    names = {"answer_rule": "read by", "controls_version": "controls"}
    lines |= {names.get(part, part): known[part] for part in _MANIFEST if known[part]}
    if _uniform(facts["cells"]):
        samples = facts["cells"][0]["samples"][0]
        lines["samples"] = f"{samples:,} of each problem" + (" and cell" if len(facts["cells"]) > 1 else "")
    fixed = [f"{name} {facts['cells'][0]['controls'][name]:g}" for name in facts["controls"] if name not in varied]
    if fixed:
        lines["always"] = ", ".join(fixed)
    there = {"questions": facts["questions"], "texts of replies": facts["texts"]}
    lines["texts"] = ", ".join(f"{'with' if has else 'no'} {what}" for what, has in there.items())
    return lines


def _uniform(cells: Sequence[Facts]) -> bool:
    """Whether all cells have equally many samples of equally many problems."""
    return len({(cell["problems"], *cell["samples"]) for cell in cells}) == 1 and len(set(cells[0]["samples"])) == 1


def _varied(cells: Sequence[Facts], controls: Sequence[str]) -> list[str]:
    return [name for name in controls if len({cell["controls"][name] for cell in cells}) > 1]


def _print_cells(console: Console, facts: Facts, varied: Sequence[str]) -> None:
    cells: list[Facts] = facts["cells"]
    columns: dict[str, list[str]] = {}
    if len(facts["models"]) > 1:
        columns["model"] = [cell["model"] for cell in cells]
    columns |= {_SHORT[name]: [f"{cell['controls'][name]:g}" for cell in cells] for name in varied}
    if not _uniform(cells):
        columns["problems"] = [f"{cell['problems']:,}" for cell in cells]
        columns["samples"] = ["-".join(dict.fromkeys(map(str, cell["samples"]))) for cell in cells]
    columns["right [95%]"] = [_interval(cell["right"]) for cell in cells]
    for name, heading in {"majority": "majority", "any_right": "any"}.items():
        if any(cell[name] for cell in cells):
            columns[heading] = ["-" if cell[name] is None else f"{cell[name]['value']:.1%}" for cell in cells]
    columns["none"] = [f"{cell['no_answer']:.1%}" for cell in cells]
    if any(cell["cut"] is not None for cell in cells):
        columns["cut"] = ["-" if cell["cut"] is None else f"{cell['cut']:.1%}" for cell in cells]
    if facts["length_in"] is not None:
        unit = "tokens" if facts["length_in"] == "tokens" else "chars"
        columns[unit] = ["-" if cell["length"] is None else f"{cell['length']:,.0f}" for cell in cells]
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for heading in columns:
        left = heading == "model"
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for line in list(zip(*columns.values(), strict=True))[:CELLS_SHOWN]:
        table.add_row(*line)
    console.print()
    console.print(table)
    if len(cells) > CELLS_SHOWN:
        console.print(f"and {len(cells) - CELLS_SHOWN} more cells: --json has all", highlight=False)


def _together(found: Facts) -> list[str]:
    agree = [pair["agree"] for pair in found["pairs"]]
    phis = [pair["phi"] for pair in found["pairs"] if pair["phi"] is not None]
    lines = [
        "",
        f"one reply of each model to {found['problems']:,} problems",
        f"best      {_interval(found['single'])} {found['best']}",
        f"majority  {_interval(found['majority'])}",
        f"any right {_interval(found['any_right'])}",
    ]
    if len(agree) == 1:
        lines.append(f"agree     {agree[0]:.0%}")
        return [*lines, *(f"errors    correlate {value:.2f}" for value in phis)]
    lines.append(f"agree     {found['agree']:.0%} of pairs ({min(agree):.0%} to {max(agree):.0%})")
    if phis:
        lines.append(f"errors    correlate {found['phi']:.2f} ({min(phis):.2f} to {max(phis):.2f})")
    return lines


def _print_pairs(console: Console, facts: Facts) -> None:
    """A table of all pairs: how errors correlate above the diagonal, how often answers agree below it."""
    models, found = facts["models"], {tuple(pair["models"]): pair for pair in facts["models_together"]["pairs"]}
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("errors above, agreement below", overflow="fold")
    for number in range(1, len(models) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    for row, one in enumerate(models):
        cells = [f"{row + 1} {one}"]
        for column, two in enumerate(models):
            if row == column:
                cells.append("")
            elif row < column:
                value = found[one, two]["phi"]
                cells.append("-" if value is None else f"{value:.2f}")
            else:
                cells.append(f"{found[two, one]['agree']:.0%}")
        table.add_row(*cells)
    console.print()
    console.print(table)


def _notes(facts: Facts) -> list[str]:
    lines, within = [], facts["within_model"]
    if within is not None:
        correlate = "" if within["phi"] is None else f", and their errors correlate {within['phi']:.2f}"
        lines.append(f"two samples of one cell agree in {within['agree']:.0%}{correlate}")
    if facts["missing"]:
        lack = "problem lacks" if facts["missing"] == 1 else "problems lack"
        lines.append(f"{facts['missing']:,} {lack} a reply in some cell")
    if facts["changed"]:
        lines.append(f"{facts['changed']:,} verdicts by {facts['rule']} are not those of the file")
    elif facts["changed"] == 0:
        lines.append(f"all verdicts by {facts['rule']} are those of the file")
    if not facts["full"]:
        lines.append("not every combination of its controls is on record: only the nearest can be played")
    return lines


def _play(facts: Facts, source: str) -> list[str]:
    nearest = "" if facts["full"] else ', config={"recorded": {"draw": "nearest"}}'
    option = "" if facts["full"] else " --set recorded.draw=nearest"
    return [
        f'play it: econ_env.parallel_env(llm="recorded:{source}"{nearest})',
        f"or: econ compare --llm {shlex.quote(f'recorded:{source}')}{option} --methods single,sc --match none",
    ]


def _interval(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:.1%} [{100 * estimate['low']:.0f}, {100 * estimate['high']:.0f}]"

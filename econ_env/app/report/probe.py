"""Shows what the probe found at the start of training: which controls have an effect on which model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from econ_env.app.report.cells import DASH, Cell, Column, ReportTable
from econ_env.app.report.runs import Runs, distinct_name

VERDICTS: Mapping[str, str] = {
    "alive": "has an effect",
    "dead": "has no effect",
    "refused": "refused by the server",
    "unclear": "unclear",
    "no": "not offered",
}
"""The verdicts for readers."""
WORDS = {
    "temperature": "Temperature", "repetition_penalty": "Repetition penalty", "top_p": "top_p", "min_p": "min_p",
    "seed": "Seed", "json_schema": "JSON schema", "logprobs": "Log-probabilities", "n": "Several replies a call",
    "thinking": "Thinking", "limits": "Limits",
}  # fmt: skip
"""Names of what was asked for, as shown."""


class Found(NamedTuple):
    """One line of a probe."""

    model: str
    """The model, with its server where it was asked at several, and the run where there are several."""
    control: str
    """The control or ability, as shown."""
    line: Mapping[str, Any]
    """Verdict and what it rests on; see `econ_env.llm.probe.Line`."""


def probed(runs: Runs) -> list[Found]:
    """The lines of all probes, in the order of runs and servers."""
    every = [(run, own) for run in runs.runs for own in run.summary.get("probe", ())]
    models = [own["model"] for _, own in every]
    found = []
    for run, own in every:
        where = f" at {own['where']}" if models.count(own["model"]) > 1 else ""
        prefix = f"{distinct_name(runs.runs, run)}: " if len(runs.runs) > 1 else ""
        lines = own["lines"]
        found += [
            Found(f"{prefix}{own['model']}{where}", WORDS.get(line["name"], line["name"]), line) for line in lines
        ]
    return found


def probe(runs: Runs) -> ReportTable:
    """What was asked, what came back, and the verdict in words."""
    columns = [
        Column("Model", numeric=False),
        Column("Control", numeric=False),
        Column("Verdict", numeric=False),
        Column("Asked", numeric=False),
        Column("Seen", numeric=False),
        Column("By chance", "probability"),
    ]
    rows = []
    for model, control, line in probed(runs):
        chance = DASH if line["chance"] is None else f"{line['chance']:.3f}"
        cells = (control, words_of(line["verdict"]), line["how"], line["value"] or DASH, chance)
        rows.append([Cell(model), *map(Cell, cells)])
    notes = (
        "Asked of each server before training. Learning a control that has no effect learns nothing. By chance: how "
        "likely a difference this large is if the control had no effect.",
    )
    return ReportTable("Which controls have an effect", columns, rows, notes)


def words_of(verdict: str) -> str:
    """A verdict for readers."""
    return VERDICTS.get(verdict, verdict)

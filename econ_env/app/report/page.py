"""Makes `report.html`: one file with tables, figures and the trace browser. It loads nothing and escapes all text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import econ_env
from econ_env.app.compare.headline import CLEAR, equals, headline
from econ_env.app.report.cells import ReportTable, minus
from econ_env.app.report.episodes import Packed
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import DARK, FULL, LIGHT, NARROW, WIDE, Plot, render_svg
from econ_env.app.report.tables import REASONS, control_columns, control_names
from econ_env.app.runs.display import recorded_words
from econ_env.app.runs.results import sum_recorded
from econ_env.control_names import short_names
from econ_env.problems.files import format_of

SCRIPTS = ("data.js", "build.js", "episode.js", "browser.js")
"""The page's scripts, in order; they share one scope."""
SECTIONS: Sequence[tuple[str, str, Sequence[str], Sequence[str]]] = (
    ("accuracy", "Accuracy", ("accuracy_calls", "accuracy_tokens"), ("accuracy",)),
    ("cost", "Cost", ("tokens_by_role",), ("cost",)),
    ("team", "Executors", (), ("team", "transitions")),
    ("calibration", "Confidence", ("calibration",), ("calibration",)),
    ("beliefs", "Beliefs", ("beliefs",), ("beliefs",)),
    ("refinement", "Refinement", ("residuals",), ("refinement",)),
    ("probe", "Probe", ("probe",), ("probe",)),
    ("controls", "Controls", ("controls",), ("controls",)),
    ("training", "Training", ("learning_curves",), ()),
)
"""Sections of the page: id, title, figures, tables."""
NAMES_SHOWN = 3


def render_page(runs: Runs, tables: Mapping[str, ReportTable], plots: Mapping[str, Plot], packed: Packed) -> str:
    """The page as HTML.

    The template escapes every text from a run; the trace browser inserts texts only as text nodes. The page's security
    policy allows only its own script and style, by their hashes, and images inside the file.
    """
    environment = Environment(
        loader=PackageLoader("econ_env.app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _static("report.css"), _script()
    return environment.get_template("report.html.j2").render(
        title=_title(runs),
        policy=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        version=econ_env.__version__,
        findings=findings(runs),
        warnings=_warnings(runs),
        facts=_facts(runs),
        sections=_sections(tables, plots),
        settings=[
            {"name": str(run.path), "text": json.dumps(run.about, indent=1, ensure_ascii=False)} for run in runs.runs
        ],
        names=", ".join(run.name for run in runs.runs),
        baseline=runs.names[runs.overview["baseline"]],
        words={
            "STOP_REASONS": REASONS,
            "BASELINE": runs.overview["baseline"],
            "CONTROLS": {
                short: title[0].lower() + title[1:]
                for short, title in zip(short_names(control_names(runs)), control_columns(runs).values(), strict=True)
            },
        },
        packed=packed,
    )


def findings(runs: Runs) -> list[str]:
    """The main results in sentences: first where a team is below the majority of its own executors."""
    seen, names = runs.overview, runs.names
    judged = {label: part for label, part in seen["methods"].items() if part["accuracy"]}
    if not judged:
        return ["No answer could be judged."]
    best = max(judged, key=lambda label: judged[label]["accuracy"]["estimate"]["value"])
    found = judged[best]["accuracy"]["estimate"]
    share, low, high = (100 * found[key] for key in ("value", "low", "high"))
    interval = f"{share:.1f}% of its answers (95% interval {low:.1f} to {high:.1f})"
    sentences = headline(seen, names)
    if len(judged) > 1:
        sentences.append(f"{names[best]} was right most often, in {interval}; {_cheapest(judged, names)}.")
    gain = _against_baseline(runs, judged, best)
    if gain:
        sentences.append(gain)
    elif len(judged) == 1:
        sentences.append(f"{names[best]} was right in {interval}.")
    return sentences


def _cheapest(judged: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """The method with the fewest tokens; with the fewest calls, if no tokens are known."""
    unit = "tokens" if any(part["cost"]["tokens"] for part in judged.values()) else "calls"
    least = min(judged, key=lambda label: judged[label]["cost"][unit])
    form = "{:,.0f}" if unit == "tokens" else "{:,.1f}"
    return f"{names[least]} took the fewest {unit}, {form.format(judged[least]['cost'][unit])} per problem"


def _against_baseline(runs: Runs, judged: Mapping[str, Mapping[str, Any]], best: str) -> str | None:
    """The difference of the reference, or else of the best method, to the baseline.

    `None` if there is none, or if the headline tells it.
    """
    seen, names = runs.overview, runs.names
    target = seen["reference"] if seen["reference"] in judged and seen["reference"] != seen["baseline"] else best
    gain = judged[target]["difference"]
    told = [{found["team"], found["best"]["method"]} for found in seen["teams"] if found["best"] is not None]
    if gain is None or gain["estimate"]["low"] is None or told == [{target, seen["baseline"]}]:
        return None
    points, low, high = (100 * gain["estimate"][key] for key in ("value", "low", "high"))
    gap = f"{abs(points):.1f} points {'more' if points >= 0 else 'less'} often than {names[seen['baseline']]}"
    clear = gain["p_holm"] < CLEAR
    verdict = "" if clear else f" This is no clear difference on {gain['problems']:,} problems."
    interval = minus(f"{low:+.1f} to {high:+.1f}")
    return (
        f"{names[target]} was right {gap} (95% interval {interval}, p {equals(gain['p_holm'])} after Holm's "
        f"adjustment).{verdict}"
    )


def _warnings(runs: Runs) -> list[str]:
    said = []
    for run in runs.runs:
        if not run.complete:
            said.append(f"{run.name} is not complete; the report shows its results so far.")
        if run.summary.get("models", {}).get("executor", {}).get("backend") == "simulated":
            said.append(f"{run.name} used simulated models: its numbers say nothing about real models.")
    return said


def _title(runs: Runs) -> str:
    sources = list(dict.fromkeys(_short(str(run.about.get("dataset", run.name))) for run in runs.runs))
    problems = len({row["problem"] for row in runs.rows})
    methods = len(runs.methods)
    return (
        f"{_several(sources)}: {problems:,} {'problem' if problems == 1 else 'problems'}, "
        f"{methods} {'method' if methods == 1 else 'methods'}"
    )


def _facts(runs: Runs) -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}

    def add(name: str, value: Any) -> None:
        if value not in (None, ""):
            values = found.setdefault(name, [])
            if str(value) not in values:
                values.append(str(value))

    for run in runs.runs:
        models, versions = run.summary.get("models", {}), run.about.get("versions", {})
        add("Coordinator", models.get("coordinator", {}).get("model"))
        for name in models.get("names") or [models.get("executor", {}).get("model")]:
            add("Executors", name)
        add("Backend", models.get("executor", {}).get("backend"))
        add("Team", f"{run.about.get('config', {}).get('n_agents', '?')} executors")
        add("Replies", models.get("reply_format"))
        add("Embedder", models.get("embedder"))
        add("Trained on", f"{len(run.training):,} episodes" if run.training else None)
        add("Judge", versions.get("answer_rule"))
        add("Prompts", versions.get("prompts"))
        for added in run.about.get("added", {}).values():
            for name, origin in added.items():
                add("Added", f"{name} ({origin})" if origin else name)
        add("Version", versions.get("econ"))
        add("Commit", (run.about.get("git_hash") or "")[:12])
    seeds = runs.overview["seeds"]
    add("Seeds", _several([str(seed) for seed in seeds]))
    add("Answers", f"{len(runs.rows):,}")
    played = sum_recorded(runs.rows)
    add("Recorded", played and recorded_words(played))
    add("Total tokens", f"{sum(sum(row['tokens'].values()) for row in runs.rows):,}")
    return [(name, _several(values)) for name, values in found.items()]


def _short(source: str) -> str:
    """A file's name without its folders; hub ids and other names unchanged."""
    return Path(source).name if format_of(source) is not None else source


def _several(values: Sequence[str]) -> str:
    more = len(values) - NAMES_SHOWN
    return ", ".join(values[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _sections(tables: Mapping[str, ReportTable], plots: Mapping[str, Plot]) -> list[dict[str, Any]]:
    made = []
    for id_, title, figures, own in SECTIONS:
        section = {
            "id": id_,
            "title": title,
            "figures": [_figure(plots[name]) for name in figures if name in plots],
            "tables": [tables[name] for name in own if name in tables],
        }
        if section["figures"] or section["tables"]:
            made.append(section)
    return made


def _figure(plot: Plot) -> dict[str, Any]:
    widths = {"wide": WIDE, "narrow": NARROW, **({"full": FULL} if plot.full else {})}
    forms = {
        f"{size}_{shade}": _data_url(render_svg(plot.draw, theme, width))
        for size, width in widths.items()
        for shade, theme in (("light", LIGHT), ("dark", DARK))
    }
    said = f"{plot.title}: {plot.caption}" + (f" {plot.words}." if plot.words else "")
    return {"title": plot.title, "caption": plot.caption, "said": said, "full": plot.full, **forms}


def _data_url(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"


def _script() -> str:
    return "(() => {\n'use strict';\n" + "\n".join(_static(name) for name in SCRIPTS) + "\n})();\n"


def _policy(script: str, style: str) -> str:
    """The page's security policy: https://www.w3.org/TR/CSP3/ and https://www.w3.org/TR/trusted-types/."""
    rules = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _static(name: str) -> str:
    return files("econ_env.app.report").joinpath("static", name).read_text(encoding="utf-8")

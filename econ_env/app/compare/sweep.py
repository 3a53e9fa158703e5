"""Compares methods for several models on several data sets: a comparison for each pair, and one report of all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from econ_env.app.compare.compare import CompareOptions, choose_compared, compare, names_of
from econ_env.app.options import CommonOptions
from econ_env.app.report.write import write_report
from econ_env.app.run_config import RunConfig
from econ_env.app.runs import display
from econ_env.errors import BudgetError, ConfigError, EconError, LLMLimitedError
from econ_env.llm.http.address import without_login


@dataclass(frozen=True)
class Cell:
    """One comparison of a sweep."""

    model: str
    """The model, as it was given."""
    source: str
    """The data set."""
    common: CommonOptions
    """Settings and folders of the comparison."""


def sweep(common: CommonOptions, options: CompareOptions, models: Sequence[str], sources: Sequence[str]) -> None:
    """Run all comparisons, print their accuracies, and write one report; with `resume`, only what is not done.

    A comparison that fails does not stop the others. A budget holds for each of them.

    Args:
        common: Settings of all comparisons; each has a folder of its own in `log_dir` and `model_dir`.
        options: Options of all comparisons; their seeds are those of each.
        models: Each a name at `llm.backend`, `NAME@URL`, or a model in this process.
        sources: Data sets; empty for that of the settings.

    Raises:
        EconError: A data set can't be loaded, which is found before the first call, or comparisons failed.
    """
    cells = _cells(common, models, sources or [common.config.env_args.hf_dataset_path])
    for cell in cells:
        choose_compared(cell.common.config, options)
    seen: dict[Cell, Mapping[str, Any]] = {}
    failed: dict[Cell, EconError] = {}
    for number, cell in enumerate(cells, start=1):
        display.console.rule(f"{number} of {len(cells)}: {cell.model} on {cell.source}", align="left")
        try:
            seen[cell] = compare(cell.common, options)
        except (BudgetError, LLMLimitedError):
            raise
        except EconError as error:
            failed[cell] = error
            display.console.print(f"failed: {error}", style="red", highlight=False, markup=False)
    if seen:
        _print(seen)
        page = write_report([cell.common.log_dir for cell in seen], common.log_dir / "report.html")
        display.console.print(f"\nwritten: {page}", highlight=False, soft_wrap=True)
    if failed:
        first = next(iter(failed.values()))
        raise ConfigError(
            f"{len(failed)} of {len(cells)} comparisons failed, the first with: {first}; --resume repeats them alone"
        )


def _cells(common: CommonOptions, models: Sequence[str], sources: Sequence[str]) -> list[Cell]:
    cells: list[Cell] = []
    taken: set[str] = set()
    for given in dict.fromkeys(models):
        name, at, url = given.partition("@")
        model = f"{name}@{without_login(url)}" if at and "://" in url else given  # shown, and a part of a folder's name
        for source in dict.fromkeys(sources):
            folder = base = _slug(f"{model}--{Path(source).stem if Path(source).exists() else source}")
            number = 2
            while folder in taken:
                folder, number = f"{base}-{number}", number + 1
            taken.add(folder)
            config = _config(common.config, model, source)
            logs, checkpoints = common.log_dir / folder, common.model_dir / folder
            own = replace(common, config=config, log_dir=logs, model_dir=checkpoints)
            cells.append(Cell(model, source, own))
    return cells


def _config(config: RunConfig, model: str, source: str) -> RunConfig:
    """The settings with a model for the whole team and a data set."""
    name, at, url = model.partition("@")
    changes: dict[str, Any] = {
        "env_args": config.env_args.model_copy(update={"hf_dataset_path": source, "offline_dataset": None})
    }
    if at and "://" in url:
        backend = url
    elif model == "simulated" or model.startswith(("local", "hub:")) or model.endswith(".gguf"):
        backend, name = model, ""
    else:
        backend, name = config.llm.backend, model
    changes["llm"] = config.llm.model_copy(update={"backend": backend})
    changes["executor_model"] = changes["coordinator_model"] = name or None
    return config.model_copy(update=changes)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:100] or "run"


def _print(seen: Mapping[Cell, Mapping[str, Any]]) -> None:
    methods = list(dict.fromkeys(label for found in seen.values() for label in found["methods"]))
    every = [names_of(found, cell.common.config) for cell, found in seen.items()]
    names = {label: {own[label] for own in every if label in own} for label in methods}
    shown = [next(iter(own)) if len(own) == 1 else label for label, own in names.items()]  # budgets may differ
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for place, heading in enumerate(("right [95%]", "on", *shown)):
        table.add_column(heading, justify="right" if place > 1 else "left", overflow="fold")
    for cell, found in seen.items():
        table.add_row(cell.model, cell.source, *(_share(found["methods"].get(name)) for name in methods))
    display.console.print()
    display.console.print(table)


def _share(part: Mapping[str, Any] | None) -> str:
    if part is None or part["accuracy"] is None:
        return "-"
    value, low, high = (part["accuracy"]["estimate"][name] for name in ("value", "low", "high"))
    return f"{value:.0%}" if low is None or high is None else f"{value:.0%} [{100 * low:.0f}, {100 * high:.0f}]"

"""Asks the executors' servers which of their controls have an effect, and prints what was found."""

from __future__ import annotations

import json
from contextlib import nullcontext

import click
from rich.table import Table
from rich.text import Text

from econ_env.app.run_config import RunConfig
from econ_env.app.runs import display
from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.make import make_llm
from econ_env.llm.probe import PROBE_VERSION, Form, Probed, Verdict, expected_cost
from econ_env.llm.probe import probe as ask

_STYLE: dict[Verdict, str] = {"alive": "green", "dead": "bold red", "refused": "red", "unclear": "yellow", "no": ""}


def probe(config: RunConfig, *, short: bool, as_json: bool) -> None:
    """Probe each model of the executors and print a table for it, or JSON.

    Args:
        config: Settings of models and controls.
        short: Whether to ask only for the controls that are learned.
        as_json: Whether to print JSON, and nothing else, on the standard output.

    Raises:
        ConfigError: A model is not asked over HTTP.
        EconError: A model is unavailable.
    """
    names = config.executor_model if isinstance(config.executor_model, list) else [config.executor_model]
    several = () if config.llm.backend == "simulated" else dict.fromkeys(names)
    models = [make_llm(config.llm.backend, config.llm, model=name, device=config.device) for name in several]
    clients = [llm for llm in models if isinstance(llm, OpenAIClient)]
    if not clients or len(clients) < len(models):
        raise ConfigError(f"econ probe asks servers, and {config.llm.backend} is none; give --llm a URL, or local")
    form: Form = "short" if short else "full"
    calls, tokens = expected_cost(form, config.sampling)
    click.echo(
        f"at most {calls} calls and {tokens:,} tokens for each of {len(clients)} "
        f"model{'s' if len(clients) > 1 else ''}, and more where a model thinks",
        err=True,
    )
    found = []
    for llm in clients:
        with nullcontext() if as_json else display.console.status(f"asking {llm.server.where}"):
            found.append(background.run(ask(llm, config.sampling, form)))
        if not as_json:
            _print(found[-1])
    if as_json:
        rows = [one.plain() for one in found]
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2, ensure_ascii=False))


def _print(found: Probed) -> None:
    where = f" at {found.where}" if "://" in found.where else ""
    table = Table(title=f"{found.model}{where}", title_justify="left", title_style="bold", box=None)
    for heading in ("", "verdict", "asked", "seen"):
        table.add_column(heading, overflow="fold")
    table.add_column("by chance", justify="right")
    for line in found.lines:
        chance = "" if line.chance is None else f"{line.chance:.3f}"
        verdict = Text(line.verdict, style=_STYLE[line.verdict])
        table.add_row(line.name, verdict, Text(line.how), Text(line.value), chance)
    display.console.print(table)
    display.console.print(
        f"{found.calls} calls, {found.tokens:,} tokens, {found.seconds:.1f} s ({PROBE_VERSION})", highlight=False
    )

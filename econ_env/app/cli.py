"""Defines the console command `econ` with its subcommands."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from econ_env.app.commands import checkpoint_command, compare_command, rejudge, report, sweep_command, train_command
from econ_env.app.entry import main
from econ_env.app.options import settings_options
from econ_env.app.record.commands import bank, record
from econ_env.app.run_config import RunConfig

_CHECKPOINT = click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    help="Checkpoint of the policy, such as models_exp1/final; without it controls are neutral.",
)


@click.group()
@click.version_option(package_name="econ-bne", message="%(version)s")
def econ() -> None:
    """Train, test and use teams of language models that learn their sampling controls."""


@click.command()
@click.argument("question")
@click.option("--gold", help="The correct answer; if given, the team's answer is judged.")
@_CHECKPOINT
@settings_options(None)
def solve(config: RunConfig, question: str, gold: str | None, model_dir: Path | None) -> None:
    """Let the team answer QUESTION; prints strategy, replies, commitment and cost."""
    from econ_env.app.ask.solve import solve as answer  # torch and the learner, which --help does not need

    answer(config, model_dir, question, gold)


@click.command()
@_CHECKPOINT
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 127.0.0.1: this machine only."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 chooses a free one.")
@click.option("--model-name", default="econ", show_default=True, help="Model name that clients use for the team.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="File with the key that clients send; by default the environment variable ECON_API_KEY.",
)
@click.option(
    "--cors-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Web pages of this origin may use it, such as http://localhost:3000; repeat it. null: pages opened from a "
    "file; *: every page.",
)
@click.option(
    "--words",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="When the answer is written in the form that a request asks for, with one more call: if it asks for one.",
)
@settings_options(None)
def serve(
    config: RunConfig,
    model_dir: Path | None,
    host: str,
    port: int,
    model_name: str,
    key_file: Path | None,
    origins: tuple[str, ...],
    words: Literal["auto", "always", "never"],
) -> None:
    """Serve the team behind an OpenAI-compatible endpoint: /v1/chat/completions and /v1/responses."""
    from econ_env.app.ask.cross_origin import check_origins
    from econ_env.app.ask.serve import read_key
    from econ_env.app.ask.serve import serve as run

    pages = check_origins(origins)
    run(
        config, model_dir, host=host, port=port, model_name=model_name, key=read_key(key_file), origins=pages,
        words=words,
    )  # fmt: skip


@click.command()
@click.option("--short", is_flag=True, help="Ask only for the learned controls, as training does at its start.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, or a list of them for several models.")
@settings_options(None)
def probe(config: RunConfig, short: bool, as_json: bool) -> None:
    """Ask a server which controls have an effect on its model: temperature, penalty, seed, JSON and others."""
    from econ_env.app.ask.probe import probe as run

    run(config, short=short, as_json=as_json)


econ.add_command(train_command(None, "Train a team.", train_episodes=100), "train")
econ.add_command(
    checkpoint_command(
        None, "Test a checkpoint without and with BNE rounds.", name="p0", model_dir="models_exp1/final"
    ),
    "test",
)
econ.add_command(
    compare_command(None, "Compare one call, votes, debate and teams on the same problems, at matched budgets."),
    "compare",
)
econ.add_command(sweep_command("Compare methods for several models on several data sets, with one report."), "sweep")
econ.add_command(report, "report")
econ.add_command(rejudge, "rejudge")
econ.add_command(record)
econ.add_command(bank)
econ.add_command(probe)
econ.add_command(solve)
econ.add_command(serve)


def run() -> None:
    """The entry point of `econ`."""
    main(econ)


def run_train() -> None:
    """The entry point of `python -m econ_agents.train`."""
    main(train_command(None, "Train a team.", train_episodes=100))

"""Defines the command-line options that all commands share."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from econ_env.app.entry import InterruptedRun
from econ_env.app.run_config import RunConfig, load_run_config
from econ_env.config import Device


@dataclass(frozen=True)
class CommonOptions:
    """Values of the shared options."""

    config: RunConfig
    """All settings, changed by the options."""
    log_dir: Path
    """Folder for results, traces and curves."""
    model_dir: Path
    """Folder for checkpoints; for a test the checkpoint itself."""
    resume: bool
    """Whether to resume the run in these folders."""
    wandb: str | None = None
    """Weights & Biases project to log to as well."""


_SETTINGS: Mapping[str, tuple[str, Any, str]] = {
    "--dataset": ("env_args.hf_dataset_path", str, "bundled, bundled:1, gsm8k, math, hub id, file or your own."),
    "--split": ("env_args.dataset_split", str, "Split to train on."),
    "--test-split": ("env_args.test_split", str, "Split to test on."),
    "--question-field": ("env_args.question_field_name", str, "Column of the question."),
    "--answer-field": ("env_args.answer_field_name", str, "Column of the answer."),
    "--context-field": ("env_args.context_field_name", str, "Column with what comes before the question; '' for none."),
    "--choices-field": ("env_args.choices_field_name", str, "Column of the choices; '' for none."),
    "--coordinator-model": ("coordinator_model", str, "Model of the coordinator."),
    "--embedder": ("embedder", str, "auto, minilm, hash, a sentence-transformers name or path, or your own."),
    "--device": ("device", click.Choice(get_args(Device)), "Where embedder, embedded engine and learner compute."),
    "--n-agents": ("n_agents", int, "Number of executors."),
    "--bne-rounds": ("bne.max_iterations_infer", int, "Rounds K per decision in the test with BNE."),
    "--max-rounds": ("env_args.max_rounds", int, "Decisions of an episode."),
    "--seed": ("seed", int, "Seed of everything random."),
    "--train-envs": ("num_envs", int, "Problems in flight at once in training."),
    "--concurrency": ("llm.concurrency", int, "Model calls in flight at once."),
    "--budget-tokens": ("llm.budget_tokens", int, "Tokens the run may use; then it stops cleanly."),
    "--budget-usd": ("llm.budget_usd", float, "US dollars the run may spend; needs prices in the config."),
}


def settings_options(
    default_config: Path | None, *, spreads: bool = False, sized: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that adds the options which change settings; the command gets one `RunConfig` as `config`.

    Args:
        default_config: The YAML file to read without `--config`.
        spreads: Whether the command can run on a Ray cluster.
        sized: Whether the team has a size of its own; otherwise it is that of the list of `--executor-model`.
    """
    keys = {flag: key for flag, (key, _, _) in _SETTINGS.items()} | _RAY_SETTINGS

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(
            config: Path | None,
            set_: tuple[str, ...],
            llm: tuple[str, ...],
            executor_model: tuple[str, ...],
            no_cache: bool,
            **values: Any,
        ) -> None:
            own = {name: value for name, value in values.items() if _flag(name) not in keys}
            given = {keys[_flag(name)]: value for name, value in values.items() if _flag(name) in keys}
            for key, several in (("llm.backend", llm), ("executor_model", executor_model)):
                if several:
                    given[key] = several[0] if len(several) == 1 else list(several)
            if no_cache:
                given["llm.cache"] = False
            if executor_model and not sized:
                given["n_agents"] = len(executor_model)
            settings = load_run_config(config or default_config, set_, given)
            if settings.device not in ("auto", "cpu"):
                from econ_agents.device import find_device  # loads torch

                find_device(settings.device)  # refused now, not after the models were loaded
            if settings.ray.spreads and not spreads:
                logging.getLogger("econ_env").warning("this command runs in one process: ray is not used")
            command(config=settings, **own)

        for flag, (key, type_, text) in reversed(tuple(_SETTINGS.items())):
            run = click.option(flag, type=type_, default=None, help=f"{text} [{key}]")(run)
        for option in reversed((*_SETTINGS_IN_GENERAL, *(_RAY_OPTIONS if spreads else ()))):
            run = option(run)
        return run

    return decorate


def common_options(
    default_config: Path | None,
    *,
    log_dir: str = "logs_exp1",
    model_dir: str = "models_exp1",
    tests: bool = False,
    spreads: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that adds all shared options; the command gets one `CommonOptions` as `common`.

    Args:
        default_config: The YAML file to read without `--config`.
        log_dir: Default of `--log-dir`.
        model_dir: Default of `--model-dir`.
        tests: Whether the command tests a checkpoint; `--model-dir` then names it.
        spreads: Whether the command can run on a Ray cluster.
    """
    model_text = "The checkpoint: its folder, or a repository on the hub." if tests else "Folder for checkpoints."
    options = (
        click.option("--log-dir", type=_PATH, default=Path(log_dir), show_default=True,
                     help="Folder for results, traces and curves."),
        click.option("--model-dir", type=_PATH, default=Path(model_dir), show_default=True, help=model_text),
        click.option("--resume", is_flag=True, help="Resume the run in these folders."),
        click.option("--wandb", metavar="PROJECT",
                     help="Also log to this Weights & Biases project (pip install wandb)."),
    )  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(config: RunConfig, log_dir: Path, model_dir: Path, resume: bool, wandb: str | None, **own: Any) -> None:
            if "hf_dataset_path" not in config.env_args.model_fields_set:
                source = config.env_args.hf_dataset_path
                logging.getLogger("econ_env").info("no --dataset or --config: the problems are those of %s", source)
            try:
                command(common=CommonOptions(config, log_dir, model_dir, resume, wandb), **own)
            except (click.Abort, KeyboardInterrupt):
                raise InterruptedRun("stopped; finished work is kept, continue it with --resume") from None

        decorated = settings_options(default_config, spreads=spreads)(run)
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


_PATH = click.Path(path_type=Path)
_SETTINGS_IN_GENERAL = (
    click.option("--config", type=_PATH, help="YAML file with settings."),
    click.option("--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any setting, such as gamma=0.9."),
    click.option("--llm", multiple=True,
                 help="auto, local, local:FILE.gguf, together, simulated, recorded:BANK, a URL, or your own; repeat it "
                      "for several servers with the same model; URL*3 gets three times the calls. [llm.backend]"),
    click.option("--executor-model", multiple=True,
                 help="Model of the executors; repeat it to give each its own; NAME@URL is at a server of its own."),
    click.option("--no-cache", is_flag=True, help="Do not use the cache of model answers."),
)  # fmt: skip

_RAY_SETTINGS = {"--ray": "ray.address", "--ray-workers": "ray.workers"}
_RAY_OPTIONS = (
    click.option("--ray", is_flag=False, flag_value=os.environ.get("RAY_ADDRESS", "local"), metavar="[ADDRESS]",
                 help="Run on a Ray cluster: the one at ADDRESS, auto for this machine's; without ADDRESS the one at "
                      "RAY_ADDRESS, or a new one on this machine. [ray.address]"),
    click.option("--ray-workers", type=int, help="Processes that run episodes. [ray.workers]"),
)  # fmt: skip


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

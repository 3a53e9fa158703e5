"""What the scripts under `benchmarks/` and the console command have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from econ_env.app.options import CommonOptions, common_options, main


def run_script(config: Path, about: str | None, *, train_episodes: int, test_episodes: int) -> None:
    """Run a script that trains and tests.

    Args:
        config: The YAML file that is read without `--config`.
        about: What `--help` says.
        train_episodes: Default of `--train-eps`.
        test_episodes: Default of `--test-eps`.
    """

    @click.command(help=about)
    @click.option(
        "--train-eps",
        type=click.IntRange(0),
        default=train_episodes,
        show_default=True,
        help="Problems to train on; 0 skips training.",
    )
    @_test_eps(test_episodes)
    @common_options(config)
    def command(common: CommonOptions, train_eps: int, test_eps: int) -> None:
        from econ_env.app.train_test.job import train_and_test  # torch and the learner, which --help does not need

        train_and_test(common, train_eps, test_eps)

    main(command)


def run_test_script(config: Path, about: str | None, *, name: str, model_dir: str) -> None:
    """Run a script that tests a checkpoint.

    Args:
        config: The YAML file that is read without `--config`.
        about: What `--help` says.
        name: Of the experiment.
        model_dir: Default of `--model-dir`.
    """
    main(checkpoint_command(config, about, name=name, model_dir=model_dir))


def checkpoint_command(config: Path | None, about: str | None, *, name: str, model_dir: str) -> click.Command:
    """The command that tests a checkpoint; see `run_test_script`."""

    @click.command(help=about)
    @_test_eps(10)
    @common_options(config, log_dir=f"logs_{name}_test", model_dir=model_dir, tests=True)
    def command(common: CommonOptions, test_eps: int) -> None:
        from econ_env.app.train_test.job import checkpoint_test

        checkpoint_test(common, test_eps, name)

    return command


def train_command(config: Path | None, about: str | None, *, train_episodes: int) -> click.Command:
    """The command that trains and does not test.

    Args:
        config: The YAML file that is read without `--config`.
        about: What `--help` says.
        train_episodes: Default of `--train-eps`.
    """

    @click.command(help=about)
    @click.option(
        "--train-eps", type=click.IntRange(1), default=train_episodes, show_default=True, help="Problems to train on."
    )
    @common_options(config)
    def command(common: CommonOptions, train_eps: int) -> None:
        from econ_env.app.train_test.job import train_and_test

        train_and_test(common, train_eps, 0)

    return command


def _test_eps(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--test-eps", type=click.IntRange(1), default=default, show_default=True, help="Problems to test on."
    )

"""What the scripts under `benchmarks/` have in common."""

from __future__ import annotations

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
    @click.option("--train-eps", type=click.IntRange(0), default=train_episodes, show_default=True, help="Problems to train on; 0 skips training.")  # fmt: skip
    @click.option("--test-eps", type=click.IntRange(1), default=test_episodes, show_default=True, help="Problems to test on.")  # fmt: skip
    @common_options(config)
    def command(common: CommonOptions, train_eps: int, test_eps: int) -> None:
        from econ_env.app.job import train_and_test  # torch and the learner, which --help does not need

        train_and_test(common, train_eps, test_eps)

    main(command)

"""The command that compares methods, with its options."""

from __future__ import annotations

from pathlib import Path

import click

from econ_env.app.options import CommonOptions, common_options

METHODS = "single,sc,best_of_n,fixed,random,debate,no_bne,bne"


def compare_command(default_config: Path | None, about: str | None) -> click.Command:
    """The command `compare`.

    Args:
        default_config: The YAML file that is read without `--config`.
        about: What `--help` says.
    """

    @click.command(help=about)
    @click.option(
        "--methods",
        default=METHODS,
        show_default=True,
        help="Separated by commas; sc@10, best_of_n@5 and debate@3 fix their number; your own by its name or "
        "module:attribute.",
    )
    @click.option(
        "--problems", type=click.IntRange(1), default=30, show_default=True, help="Problems, the same for all methods."
    )
    @click.option(
        "--seeds",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Runs of each method, with --seed and the seeds after it.",
    )
    @click.option(
        "--match",
        type=click.Choice(["tokens", "calls", "none"]),
        default="tokens",
        show_default=True,
        help="What sc, best_of_n and debate should spend as much of as bne does.",
    )
    @click.option("--baseline", help="The method that differences are taken to; by default the first.")
    @click.option(
        "--temperature",
        type=click.FloatRange(0.0, 2.0),
        default=0.7,
        show_default=True,
        help="Of sc, best_of_n, debate and fixed.",
    )
    @click.option(
        "--policy",
        type=click.Path(path_type=Path),
        help="Checkpoint of the policy: its folder, such as models_exp1/final, or a repository of the hub.",
    )
    @click.option(
        "--train-eps",
        type=click.IntRange(0),
        help="Without --policy: problems to train on first; 0 for an untrained one.",
    )
    @common_options(default_config, spreads=False)
    def command(
        common: CommonOptions,
        methods: str,
        problems: int,
        seeds: int,
        match: str,
        baseline: str | None,
        temperature: float,
        policy: Path | None,
        train_eps: int | None,
    ) -> None:
        from econ_env.app.compare.compare import (  # torch and the learner, which --help does not need
            CompareOptions,
            compare,
        )

        measure = {"tokens": "tokens", "calls": "calls", "none": None}[match]
        compare(
            common,
            CompareOptions(
                methods=methods,
                problems=problems,
                seeds=seeds,
                match=measure,  # type: ignore[arg-type]  # the choice allows nothing else
                baseline=baseline,
                temperature=temperature,
                policy=policy,
                train_episodes=train_eps,
            ),
        )

    for option in command.params:
        if option.name == "log_dir":
            option.default = Path("logs_compare")  # a comparison must not push the training run's logs aside
    return command

"""Makes the commands that the scripts under `benchmarks/` and the console command share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from econ_env.app.entry import main, need
from econ_env.app.options import CommonOptions, common_options


def run_script(config: Path, about: str | None, *, train_episodes: int, test_episodes: int) -> None:
    """Run a script that trains and tests.

    Args:
        config: The YAML file to read without `--config`.
        about: Text of `--help`.
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
        config: The YAML file to read without `--config`.
        about: Text of `--help`.
        name: Name of the experiment.
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
        config: The YAML file to read without `--config`.
        about: Text of `--help`.
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


METHODS = "single,sc,best_of_n,fixed,random,debate,no_bne,bne"


def compare_command(default_config: Path | None, about: str | None) -> click.Command:
    """The command `compare`.

    Args:
        default_config: The YAML file to read without `--config`.
        about: Text of `--help`.
    """

    @click.command(help=about)
    @click.option(
        "--methods",
        default=METHODS,
        show_default=True,
        help="Separated by commas; sc@10, best_of_n@5 and debate@3 fix their number; your own method by its name "
        "or module:attribute.",
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
        help="Budget to equalise with bne: sc, best_of_n and debate get as many samples or rounds as cost the same.",
    )
    @click.option("--baseline", help="Method that the others are compared with; by default the first.")
    @click.option(
        "--temperature",
        type=click.FloatRange(0.0, 2.0),
        default=0.7,
        show_default=True,
        help="Temperature of sc, best_of_n, debate and fixed.",
    )
    @click.option(
        "--policy",
        type=click.Path(path_type=Path),
        help="Checkpoint of the policy: its folder, such as models_exp1/final, or a repository on the hub.",
    )
    @click.option(
        "--train-eps",
        type=click.IntRange(0),
        help="Without --policy: problems to train on first; 0 for an untrained policy.",
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
        need("report", "statsmodels")
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
            option.default = Path("logs_compare")  # not the folder of the training run
    return command


@click.command()
@click.argument("log_dirs", nargs=-1, required=True, metavar="LOGDIR...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the page [default: report.html in the first LOGDIR].",
)
@click.option("--baseline", help="Method that the others are compared with [default: the run's].")
@click.option("--summary-only", is_flag=True, help="Print the summary only; write nothing.")
def report(log_dirs: tuple[Path, ...], out: Path | None, baseline: str | None, summary_only: bool) -> None:
    """Print a summary of runs, and write an HTML page and plots for papers."""
    need("report", "statsmodels", *(() if summary_only else ("matplotlib", "math_core")))
    from econ_env.app.report.runs import load_runs
    from econ_env.app.report.terminal import print_summary
    from econ_env.app.report.write import write_page
    from econ_env.app.runs.display import console

    runs = load_runs(log_dirs, baseline)
    print_summary(console, runs)
    if not summary_only:
        with console.status("writing the page"):
            page = write_page(runs, out)
        console.print(f"\nwritten: {page} and {page.parent / 'plots'}", highlight=False, soft_wrap=True)

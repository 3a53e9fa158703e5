"""Makes the commands that the scripts under `benchmarks/` and the console command share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from econ_env.app.entry import main, need
from econ_env.app.options import CommonOptions, common_options

if TYPE_CHECKING:
    from econ_env.app.compare.compare import CompareOptions


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
    @_compare_options
    @common_options(default_config, log_dir="logs_compare", spreads=False)  # not the folder of the training run
    def command(common: CommonOptions, **given: Any) -> None:
        need("report", "statsmodels")
        from econ_env.app.compare.compare import compare  # torch and the learner, which --help does not need

        compare(common, _compare_choices(given))

    return command


def sweep_command(about: str | None) -> click.Command:
    """The command `sweep`.

    Args:
        about: Text of `--help`.
    """

    @click.command(help=about)
    @click.option(
        "--model",
        "models",
        multiple=True,
        required=True,
        help="A model for the whole team: a name at --llm, NAME@URL, or local:FILE.gguf; repeat it.",
    )
    @click.option("--on", "sources", multiple=True, help="A data set; repeat it. [default: that of --dataset]")
    @_compare_options
    @common_options(None, log_dir="logs_sweep", model_dir="models_sweep", spreads=False)
    def command(common: CommonOptions, models: tuple[str, ...], sources: tuple[str, ...], **given: Any) -> None:
        need("report", "statsmodels", "matplotlib", "math_core")
        from econ_env.app.compare.sweep import sweep  # torch and the learner, which --help does not need

        sweep(common, _compare_choices(given), models, sources)

    return command


def _compare_options(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator that adds the options of a comparison."""
    options = (
        click.option(
            "--methods",
            default=METHODS,
            show_default=True,
            help="Separated by commas; sc@10, best_of_n@5 and debate@3 fix their number; further ones are majority, "
            "best_single, adaptive_consistency@0.8, esc@2, best_first@2, weighted_vote, cisc, cma_es and bandit; your "
            "own method by its name or module:attribute.",
        ),
        click.option(
            "--problems",
            type=click.IntRange(1),
            default=30,
            show_default=True,
            help="Problems, the same for all methods.",
        ),
        click.option(
            "--seeds",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Runs of each method, with --seed and the seeds after it.",
        ),
        click.option(
            "--match",
            type=click.Choice(["tokens", "calls", "none"]),
            default="tokens",
            show_default=True,
            help="Budget to equalise with bne: sc, best_of_n and debate get as many samples or rounds as cost the "
            "same.",
        ),
        click.option("--baseline", help="Method that the others are compared with; by default the first."),
        click.option(
            "--temperature",
            type=click.FloatRange(0.0, 2.0),
            default=0.7,
            show_default=True,
            help="Temperature of all sampled replies, and of fixed.",
        ),
        click.option(
            "--policy",
            type=click.Path(path_type=Path),
            help="Checkpoint of the policy: its folder, such as models_exp1/final, or a repository on the hub.",
        ),
        click.option(
            "--train-eps",
            type=click.IntRange(0),
            help="Without --policy: problems to train on first; 0 for an untrained policy.",
        ),
        click.option(
            "--fit",
            type=click.IntRange(1),
            default=100,
            show_default=True,
            help="Training problems on which best_single, best_first, weighted_vote, cisc, cma_es and bandit learn "
            "first.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _compare_choices(given: Mapping[str, Any]) -> CompareOptions:
    """The values of `_compare_options`."""
    from econ_env.app.compare.compare import CompareOptions

    return CompareOptions(
        methods=given["methods"],
        problems=given["problems"],
        seeds=given["seeds"],
        match=None if given["match"] == "none" else given["match"],
        baseline=given["baseline"],
        temperature=given["temperature"],
        policy=given["policy"],
        train_episodes=given["train_eps"],
        fit=given["fit"],
    )


@click.command()
@click.argument("log_dir", metavar="LOGDIR", type=click.Path(path_type=Path))
def rejudge(log_dir: Path) -> None:
    """Judge the answers of a run again by the current rule, without a call, and say what changed.

    Results, traces, summary and report.html in LOGDIR are written anew; the old files are kept beside them.
    """
    need("report", "statsmodels")
    from econ_env.app.rejudge.rejudge import print_changes
    from econ_env.app.rejudge.rejudge import rejudge as run
    from econ_env.app.report.write import REPORT_FILE, write_report
    from econ_env.app.runs.display import console

    reports = (log_dir / REPORT_FILE).is_file()
    if reports:
        need("report", "matplotlib", "math_core")
    with console.status("judging"):
        done = run(log_dir)
    print_changes(console, done)
    if done.kept is None:
        console.print("\nnothing was written", highlight=False)
        return
    if reports:
        with console.status("writing the page"):
            write_report([log_dir])
    console.print(f"\nwritten to {log_dir}; the old files are in {done.kept}", highlight=False, soft_wrap=True)


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

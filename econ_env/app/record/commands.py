"""Defines the commands `econ record` and `econ bank`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import click
from click.core import ParameterSource

from econ_env.app.options import settings_options
from econ_env.app.run_config import RunConfig
from econ_env.errors import ConfigError

_ONLY_FROM = ("out", "column", "set_column", "questions", "models", "texts", "origin", "dataset", "engine", "prompts",
              "force")  # fmt: skip
"""Options of `econ bank` that only make sense with `--from`."""


Read = Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[float, ...]]


def _numbers(least: float, most: float) -> Read:
    """A callback that reads numbers in a range, given one by one or with commas."""

    def read(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[float, ...]:
        found = []
        for text in (part.strip() for parts in given for part in parts.split(",")):
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not least <= value <= most:
                raise click.BadParameter(f"{text!r} is no number from {least:g} to {most:g}")
            found.append(value)
        return tuple(dict.fromkeys(found))

    return read


@click.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The bank's file.")
@click.option(
    "--problems",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Problems of --dataset and --split, shuffled by --seed.",
)
@click.option(
    "--temperature",
    callback=_numbers(0, 2),
    multiple=True,
    metavar="NUMBERS",
    help="Temperatures, as 0.2,0.7,1; or repeat it.  [default: 0.7]",
)
@click.option(
    "--penalty",
    callback=_numbers(1, 2),
    multiple=True,
    metavar="NUMBERS",
    help="Repetition penalties, likewise.  [default: 1]",
)
@click.option(
    "--top-p",
    callback=_numbers(0.01, 1),
    multiple=True,
    metavar="NUMBERS",
    help="Nucleus masses, likewise. [sampling.top_p_default]",
)
@click.option(
    "--min-p",
    callback=_numbers(0, 0.99),
    multiple=True,
    metavar="NUMBERS",
    help="Values of min-p, likewise. [sampling.min_p]",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Replies for each model, problem and combination of controls.",
)
@click.option("--dry-run", is_flag=True, help="Only show the plan; the first calls, which measure it, are made.")
@click.option("--force", is_flag=True, help="Replace another bank or recording in the file.")
@settings_options(None, sized=False)
def record(
    config: RunConfig,
    out: Path,
    problems: int,
    temperature: tuple[float, ...],
    penalty: tuple[float, ...],
    top_p: tuple[float, ...],
    min_p: tuple[float, ...],
    samples: int,
    dry_run: bool,
    force: bool,
) -> None:
    """Record replies of models (--llm, --executor-model) in a bank, which can be played as a team: recorded:FILE.

    Each model answers each problem at each combination of the controls. A run that was stopped, even killed, goes on
    with the same command. See econ bank for what is in the file.
    """
    from econ_env.app.record.record import Wanted
    from econ_env.app.record.record import record as run

    wanted = Wanted(
        out=out,
        problems=problems,
        temperatures=temperature or (0.7,),
        penalties=penalty or (1.0,),
        top_ps=top_p,
        min_ps=min_p,
        samples=samples,
        dry_run=dry_run,
        force=force,
    )
    run(config, wanted)


@click.command()
@click.argument("source", metavar="[FILE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--answer-rule", default="econ", show_default=True, help="Reads and judges the answers.")
@click.option("--from", "log", metavar="LOG", help="Make a bank of this file: JSON lines, JSON, CSV, TSV, Parquet.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The bank's file, with --from.")
@click.option(
    "--column",
    multiple=True,
    metavar="NAME=NAME_IN_LOG",
    help="Which column of the log is which, as answer=pred or reply=output.0.text; repeat it. Without a name "
    "in the log the column is left out.",
)
@click.option(
    "--set-column",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value of all rows, as model=NAME or temperature=0; repeat it.",
)
@click.option("--questions", metavar="FILE", help="A file with question or gold by problem, where the log lacks them.")
@click.option("--models", help="Keep only these models, separated by commas.")
@click.option("--texts/--no-texts", default=True, help="Keep questions and replies.  [default: texts]")
@click.option("--source", "origin", help="Where the replies were published, with licence; for the record.")
@click.option("--dataset", help="The problem set, likewise.")
@click.option("--engine", help="What ran the models, likewise.")
@click.option("--prompts", help="What the models were asked, likewise.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.pass_context
def bank(
    context: click.Context,
    source: str | None,
    as_json: bool,
    answer_rule: str,
    log: str | None,
    out: Path | None,
    column: tuple[str, ...],
    set_column: tuple[str, ...],
    questions: str | None,
    models: str | None,
    texts: bool,
    origin: str | None,
    dataset: str | None,
    engine: str | None,
    prompts: str | None,
    force: bool,
) -> None:
    """Say what is in FILE, a bank of recorded replies, or make one of a log (--from LOG --out FILE).

    Columns of a bank: problem, model, gold, answer; optional: exam, temperature, repetition_penalty, top_p, min_p,
    sample, question, reply, tokens, reply_chars, mean_logprob, finish_reason, correct, and of the working equations,
    wrong_equations, working_numbers, ends_with_answer, shows_answer. Without answers, they are read in the replies.
    """
    if log is None:
        given = [name for name in _ONLY_FROM if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            option = next(part.opts[0] for part in context.command.params if part.name == given[0])
            raise ConfigError(f"{option} goes with --from LOG, which makes a bank of a log")
        if source is None:
            raise ConfigError("give the FILE of a bank to say what is in it, or --from LOG --out FILE to make one")
    else:
        if source is not None or out is None:
            raise ConfigError("a bank is made with --from LOG --out FILE, and no other file")
        if as_json:
            raise ConfigError("--json says what is in a FILE; leave it out with --from")
        from econ_env.answers import make_rule
        from econ_env.app.record.convert import Conversion, convert
        from econ_env.app.record.logs import Layout
        from econ_env.recorded import Manifest

        about = Manifest(source=origin or "", dataset=dataset or "", engine=engine or "", prompts=prompts or "")
        kept = tuple(name.strip() for name in (models or "").split(",") if name.strip())
        layout = Layout(_pairs("--column", column), _pairs("--set-column", set_column))
        convert(Conversion(log, out, layout, about, questions, kept, texts, force), make_rule(answer_rule))
        source = str(out)
    from econ_env.app.record.bank import describe

    describe(source, answer_rule, as_json=as_json)


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{option} needs NAME=VALUE, got {text!r}")
        if name.strip() in pairs:
            raise ConfigError(f"{option} names {name.strip()} twice")
        pairs[name.strip()] = value.strip()
    return pairs

"""Lets a team answer one question, and prints how it found the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from econ_env.answers import read_gold
from econ_env.app.ask.account import Wave
from econ_env.app.ask.solver import QuestionTeam, Solution, calls_of, failure, known_problems, readable
from econ_env.app.run_config import RunConfig
from econ_env.app.runs import display
from econ_env.app.runs.team_facts import print_facts
from econ_env.control_names import written
from econ_env.errors import ConfigError, NothingJudgedError
from econ_env.llm import background
from econ_env.llm.budget import price
from econ_env.records import Round


def solve(config: RunConfig, checkpoint: Path | None, question: str, gold: str | None) -> None:
    """Answer one question and print strategy, replies, commitment and cost.

    Args:
        config: Settings of team and models.
        checkpoint: As in `QuestionTeam`.
        question: The question.
        gold: The right answer, if it is known.

    Raises:
        ProblemGoldError: The gold answer can't be read.
        NothingJudgedError: The team gave no valid reply.
        EconError: As `QuestionTeam`.
    """
    if not question.strip():
        raise ConfigError("the question is empty")
    gold = None if gold is None else read_gold(gold)
    solver = QuestionTeam(config, checkpoint, known_problems(config, question, gold))
    solver.prepare()
    with display.console.status("asking the team"):
        done = background.run(solver.solve(question.strip(), seed=config.seed, gold=gold))
    print_solution(display.console, done, config)
    if done.answer.rounds[-1].failed:
        raise NothingJudgedError(failure(done.answer))


def print_solution(console: Console, done: Solution, config: RunConfig) -> None:
    """Print how the team found its answer."""
    episode = done.answer.episode
    strategy = episode.strategy
    _say(console, "\nquestion", episode.problem.question)
    if strategy is not None:
        _say(console, "strategy", strategy.text or f"none: {strategy.error or 'not asked for'}")
    waves: Sequence[Wave | None] = done.account.waves or [None] * len(done.answer.rounds)
    for number, (round_, wave) in enumerate(zip(done.answer.rounds, waves, strict=True), start=1):
        _print_round(console, number, round_, episode.controls, wave)
    last = done.answer.rounds[-1].commitment
    verdict = ""
    judgement = episode.decisions[-1].judgement
    if judgement is not None:
        verdict = f"   {judgement.verdict.replace('_', ' ')}, the gold answer is {episode.problem.answer}"
    console.print()
    console.print(Text.assemble(("answer   ", "bold"), (last.answer or "none", "bold green"), verdict))
    usage, roles = episode.usage, done.answer.usage
    parts = ", ".join(f"{role} {part.tokens:,}" for role, part in roles.items())
    usd = price(config.llm, usage)
    dollars = "" if usd is None else f", ${usd:.6f}"
    thought = f", {usage.thought_tokens:,} of them thought" if usage.thought_tokens else ""
    cached = f", {usage.cache_hits} from the cache" if usage.cache_hits else ""
    print_facts(
        {
            "cost": f"{usage.tokens:,} tokens ({parts}){thought}",
            "": f"{calls_of(usage)}{cached}, {done.seconds:.1f} s{dollars}",
            "rounds": f"{len(done.answer.rounds)}",
            "stopped": done.account.stopped,
        }
    )


def _print_round(console: Console, number: int, round_: Round, names: Sequence[str], wave: Wave | None) -> None:
    """Print a round: the replies that were given in it and, where executors may stay silent, how all stand then."""
    if wave is None:
        console.print(Text(f"\nround {number}", style="bold"))
    else:
        who = ", ".join(wave.asked) or "nobody"
        console.print(Text(f"\nround {number}: {who} asked{_hopes(wave)}", style="bold"))
        names = [name for name in names if name not in ("speak", "weight")]
    for reply in round_.given if wave is not None else round_.replies:
        heading = " ".join(filter(None, (reply.agent, written(reply.controls, names))))
        said = readable(reply) if reply.valid else f"INVALID: {reply.error}"
        _say(console, f"  {heading} -> {reply.answer or 'no answer'}", said, indent=4)
    if wave is not None:
        _print_standings(console, wave)
    for cluster in round_.clusters:
        local = cluster.commitment
        names = f"{cluster.agents[0]} to {cluster.agents[-1]}"
        _say(console, f"  {names} ({local.source}) -> {local.answer or 'no answer'}", readable(local), indent=4)
    made = round_.commitment
    text = readable(made) or f"none: {made.error}"
    _say(console, f"  commitment ({made.source}) -> {made.answer or 'no answer'}", text, indent=4)


def _hopes(wave: Wave) -> str:
    """What the calls of a round were expected to gain."""
    known = [gain for gain in wave.gains if gain is not None]
    if not known or len(known) < len(wave.asked):
        return ""
    return f", expected to gain {', '.join(f'{gain:+.3f}' for gain in known)}"


def _print_standings(console: Console, wave: Wave) -> None:
    """Print a line for each executor: its answer, how likely it is right, its weight, and what its call would gain."""
    shown: dict[str, list[str]] = {
        "P(right)": ["" if one.right is None else f"{one.right:.2f}" for one in wave.after],
        "weight": ["" if one.weight is None else f"{one.weight:.2f}" for one in wave.after],
        "would gain": ["" if one.gain is None else f"{one.gain:+.3f}" for one in wave.after],
    }
    columns = {heading: cells for heading, cells in shown.items() if any(cells)}
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("answer", overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right", overflow="fold", min_width=max(map(len, columns[heading])))
    for place, one in enumerate(wave.after):
        said = {"silent": "not asked", "invalid": "INVALID"}.get(one.status, one.answer or "no answer")
        style = "dim" if one.status == "silent" else ""
        table.add_row(Text(one.agent), Text(said), *(cells[place] for cells in columns.values()), style=style)
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _say(console: Console, heading: str, text: str, indent: int = 2) -> None:
    console.print(Text(heading, style="bold"))
    console.print(Padding(Text(text.strip()), (0, 0, 0, indent)))

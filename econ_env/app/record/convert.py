"""Turns other people's logs into banks: reads answers in their texts, judges them, and checks what is written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from econ_env.answers import AnswerRule
from econ_env.app.record.logs import Columns, Layout, check_log, join_questions, read_log
from econ_env.app.runs import display
from econ_env.errors import ConfigError
from econ_env.recorded import Manifest, load_bank
from econ_env.recorded.columns import WORKING, working_facts
from econ_env.recorded.write import write_columns


@dataclass(frozen=True)
class Conversion:
    """How a log becomes a bank."""

    source: str
    """The log: a file that `load_problems` reads, a folder with one table, or a set on the hub."""
    out: Path
    """The bank's file."""
    layout: Layout
    """Which columns of the log are which of a bank."""
    manifest: Manifest
    """What is known of the replies."""
    questions: str | None = None
    """A file with the questions or golds that the log lacks, by problem."""
    models: tuple[str, ...] = ()
    """Keep only the replies of these models; empty keeps all."""
    texts: bool = True
    """Whether questions and texts of replies are kept."""
    force: bool = False
    """Whether an existing file is replaced."""


def convert(wanted: Conversion, rule: AnswerRule) -> None:
    """Make a bank of a log, and say in how many replies no answer could be read.

    Answers are read only where the log has texts and no column of answers, and are judged where it has no verdicts.

    Raises:
        ConfigError: The bank's file exists.
        ProblemSourceError: The log does not exist or can't be read.
        BankError: A column is missing, a value can't be read, a problem has two golds, or a reply is there twice.
    """
    if wanted.out.exists() and not wanted.force:
        raise ConfigError(f"{wanted.out} exists; give another --out, or --force to replace it")
    with display.console.status(f"reading {wanted.source}"):
        log = read_log(wanted.source, wanted.layout, wanted.models)
        check_log(log, wanted.source, joined=wanted.questions is not None)
        columns = log.columns
        if wanted.questions is not None:
            join_questions(columns, wanted.questions)
    count = len(next(iter(columns.values()), []))
    display.console.print(f"{count:,} replies in {wanted.source}", highlight=False, markup=False, soft_wrap=True)
    texts = columns.get("reply")
    if texts is not None:
        columns.setdefault("reply_chars", [None if text is None else len(text) for text in texts])
        if "answer" not in columns:
            columns["answer"] = _answers(texts, rule)
        if not columns.keys() & set(WORKING):
            facts = [working_facts(*both) for both in zip(texts, columns["answer"], strict=True)]
            columns |= {name: [row[name] for row in facts] for name in WORKING}
    if not wanted.texts:
        columns = {name: values for name, values in columns.items() if name not in ("question", "reply")}
    own = "correct" not in columns
    with display.console.status("checking and judging the answers"):
        verdicts = _checked(columns, wanted, rule)
    if own:
        columns["correct"] = verdicts
    about = replace(wanted.manifest, answer_rule=rule.name if own else "", made=date.today().isoformat())
    write_columns(wanted.out, columns, about)


def _answers(texts: Sequence[str | None], rule: AnswerRule) -> list[str | None]:
    answers: list[str | None] = []
    missing = 0
    with display.progress() as bars:
        task = bars.add_task("answers", total=len(texts), note="")
        for number, text in enumerate(texts, start=1):
            answers.append(None if text is None else rule.extract(text).answer)
            missing += answers[-1] is None
            if number % 1000 == 0 or number == len(texts):
                bars.update(task, completed=number, note=f"none in {missing / number:.1%}")
    display.console.print(
        f"answers read by {rule.name}; {missing:,} of {len(texts):,} replies have none", highlight=False
    )
    return answers


def _checked(columns: Columns, wanted: Conversion, rule: AnswerRule) -> list[bool]:
    """The verdict on each reply, after a check that the columns make a bank.

    Raises:
        BankError: They do not.
    """
    name = Path(wanted.source).name if not wanted.models else f"what is kept of {Path(wanted.source).name}"
    with tempfile.TemporaryDirectory() as folder:
        facts = {column: values for column, values in columns.items() if column != "reply"}
        bank = load_bank(write_columns(Path(folder) / name, facts, Manifest()))
        right_R = bank.judged(rule).right_R
    verdicts = np.empty(len(bank), bool)
    verdicts[bank.row_R] = right_R
    found: list[bool] = verdicts.tolist()
    return found

"""Says what is in a bank, on the terminal or as JSON."""

from __future__ import annotations

import json

import click

from econ_env.answers import make_rule
from econ_env.app.record.facts import bank_facts
from econ_env.app.record.show import print_bank
from econ_env.app.runs.display import console
from econ_env.recorded import load_bank
from econ_env.recorded.load import SCHEME


def describe(source: str, rule: str, *, as_json: bool = False) -> None:
    """Print what is in a bank.

    Args:
        source: Its file or name, also after `recorded:`.
        rule: Name of the rule that judges.
        as_json: Whether to print JSON, and nothing else, on the standard output.

    Raises:
        BankError: It can't be read.
        ConfigError: There is no such rule.
    """
    name = source.removeprefix(SCHEME)
    judge = make_rule(rule)
    if as_json:
        click.echo(json.dumps(bank_facts(load_bank(name), judge), indent=2, ensure_ascii=False, allow_nan=False))
        return
    with console.status("judging the answers"):
        facts = bank_facts(load_bank(name), judge)
    print_bank(console, facts, name)

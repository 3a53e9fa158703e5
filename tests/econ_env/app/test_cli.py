"""The console command: its subcommands, how fast it is, and that it is installed."""

import importlib.metadata
import subprocess
import sys

import pytest

from econ_env.app.cli import econ
from econ_env.app.cli import run as entry

HEAVY = {"torch", "tianshou", "datasets", "openai", "sentence_transformers", "aiohttp", "matplotlib", "scipy"}


def test_it_is_installed_under_its_names():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="econ")
    assert script.load() is entry
    (train,) = importlib.metadata.entry_points(group="econ_agents.commands", name="train")
    assert callable(train.load())


def test_help_lists_the_subcommands(run):
    ran = run(econ, "--help")
    assert ran.code == 0
    for name in ("train", "test", "compare", "report", "record", "bank", "solve", "serve"):
        assert f"\n  {name} " in ran.out


@pytest.mark.parametrize("name", ["train", "test", "compare", "record", "solve", "serve"])
def test_every_subcommand_has_the_options_of_settings(run, name):
    out = run(econ, name, "--help").out
    for flag in ("--config", "--set", "--dataset", "--llm", "--executor-model", "--embedder", "--n-agents", "--seed"):
        assert f"  {flag} " in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["train", "test", "compare", "report", "record", "bank", "solve", "serve"])
def test_help_loads_nothing_heavy(name):
    """What keeps it fast; the time itself is not asserted."""
    code = (
        f"import sys; sys.argv = ['econ', {name!r}, '--help']\n"
        "from econ_env.app.cli import econ\n"
        "econ.main(standalone_mode=False)\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_subcommand_that_does_not_exist(run):
    ran = run(econ, "teach")
    assert ran.code == 2
    assert ran.err.startswith("error: No such command 'teach'")


def test_train_then_test_from_the_command(run, small):
    trained = run(econ, "train", *small, "--train-eps", 2, "--log-dir", "logs", "--model-dir", "models")
    assert trained.code == 0, trained.err
    assert "bundled:1: 100 to train on\n" in trained.out
    tested = run(econ, "test", *small, "--test-eps", 2, "--log-dir", "logs_test", "--model-dir", "models/final")
    assert tested.code == 0, tested.err
    assert "P0 BNE (3 rounds):" in tested.out
    reported = run(econ, "report", "--summary-only", "logs_test")
    assert reported.code == 0, reported.err
    assert "bne" in reported.out

"""Commands run in this process, with a learner as small as can be and an untrained checkpoint for it."""

from __future__ import annotations

import logging
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from econ_env.app.entry import main
from econ_env.app.runs import display

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"

SMALL = """
belief_dim: 8
num_envs: 2
update_interval: 2
gradient_steps: 0.5
batch_size: 4
network: {hidden_dim: 8, encoder_dim: 4, mixer_dim: 4, heads: 1, ffn_dim: 8}
losses: {candidates: 2, candidate_rows: 2}
env_args: {hf_dataset_path: "bundled:1"}
embedder: hash
llm: {backend: simulated}
"""


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments that make every run a matter of moments."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(SMALL)
    return ["--config", str(path)]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Ran]]:
    """Runs a script of `benchmarks/`, or a command, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display.console, "_width", 80)
    level = logging.getLogger("econ_env").level

    def run(what: str | click.Command, *arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", [str(what), *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            if isinstance(what, str):
                runpy.run_path(str(BENCHMARKS / what), run_name="__main__")
            else:
                main(what)
        except SystemExit as ended:
            code = ended.code
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    yield run
    logging.getLogger("econ_env").setLevel(level)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained policy for the team of `small`."""
    import torch

    from econ_agents.policy import EconPolicy
    from econ_agents.team_spec import TeamSpec
    from econ_env.app.run_config import load_run_config, make_env
    from econ_env.problems.load import load_problems

    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "small.yaml").write_text(SMALL)
    config = load_run_config(folder / "small.yaml")
    torch.manual_seed(0)
    policy = EconPolicy(TeamSpec.of(make_env(config, load_problems("bundled:1"))), config.agent_config())
    policy.save_pretrained(folder / "final")
    return folder / "final"

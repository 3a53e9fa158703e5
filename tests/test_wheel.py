"""The wheel, in a fresh environment and a folder without the checkout: what users of the package get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from pages import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
STAND_INS = ("--llm", "simulated", "--embedder", "hash", "--dataset", "bundled:1")


def run(*words: object, folder: Path) -> str:
    """What a command prints, in a folder that is its home too, without this checkout on any path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HOME", "VIRTUAL_ENV")}
    env = {**kept, "HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(word) for word in words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which only the wheel, with the extra `report`, was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.rstrip("\0").split("\0"):  # a copy: building leaves files behind
        if name.startswith(("econ_env/", "econ_agents/")) or "/" not in name:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", "dist", folder / "source", folder=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    run(folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", f"{wheel}[report]", folder=folder)
    return folder / "venv" / "bin"


def test_the_package_is_the_installed_one(programs, tmp_path):
    names = "import econ_env, econ_agents; print(econ_env.__file__, econ_agents.__file__)"
    for place in run(programs / "python", "-c", names, folder=tmp_path).split():
        assert Path(place).is_relative_to(programs.parent)


def test_a_team_solves_a_question(programs, tmp_path):
    said = run(programs / "econ", "solve", "What is 12 * 7 - 5?", "--gold", "79", *STAND_INS, folder=tmp_path)
    assert "the gold answer is 79" in said


def test_a_team_is_trained_compared_and_reported(programs, tmp_path):
    run(programs / "econ", "train", "--train-eps", "16", "--model-dir", "models", *STAND_INS, folder=tmp_path)
    assert (tmp_path / "models" / "final" / "model.safetensors").exists()
    compare = ("compare", "--problems", "6", "--policy", "models/final", "--methods", "single,sc,bne", *STAND_INS)
    said = run(programs / "econ", *compare, folder=tmp_path)
    assert "McNemar" in said
    summary = json.loads((tmp_path / "logs_compare" / "summary.json").read_text())
    assert summary["versions"]["econ"]
    said = run(programs / "econ", "report", "logs_compare", folder=tmp_path)
    assert "18 answers" in said
    assert "<html" in (tmp_path / "logs_compare" / "report.html").read_text()[:1000]


def test_a_recorded_bank_comes_with_it(programs, tmp_path):
    assert "9,233 replies" in run(programs / "econ", "bank", "gsm8k-small7", folder=tmp_path)

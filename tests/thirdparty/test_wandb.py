"""Runs log to the real package of Weights & Biases, which is installed for it and works offline."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = """
belief_dim: 8
num_envs: 2
update_interval: 2
batch_size: 4
env_args: {hf_dataset_path: "bundled:1"}
embedder: hash
llm: {backend: simulated}
"""
START = (
    "import runpy, sys; sys.path.append(sys.argv[1]); del sys.argv[:2]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""The package comes last on the path, so that it replaces nothing that is installed."""


@pytest.mark.thirdparty
@pytest.mark.timeout(600)
def test_training_and_test_land_in_the_offline_run(tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path / "packages", "wandb"]
    subprocess.run(install, check=True)
    (tmp_path / "small.yaml").write_text(SETTINGS)
    script = ROOT / "benchmarks" / "run_math_test.py"
    arguments = ["--config", "small.yaml", "--train-eps", "6", "--test-eps", "2", "--wandb", "trial"]
    done = subprocess.run(
        [sys.executable, "-c", START, tmp_path / "packages", script, *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = file.read_bytes()
    for name in ("training/returns_stat/mean", "update/td_total", "test/bne/accuracy", "test/baseline/calls"):
        assert name.encode() in written
    assert b"hf_dataset_path" in written

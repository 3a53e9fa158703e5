"""The benchmark of workers: what it measures adds up, and it names the bottleneck."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure.scale import Run, descendants

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("shares", "cores", "said"),
    [
        ((0.1, 0.2, 1.6, 0.05, 0.0), 2, "this machine: its cores are busy, most with the workers"),
        ((0.9, 0.2, 0.6, 0.0, 0.2), 2, "this machine: its cores are busy, most with the server"),
        ((0.1, 0.2, 0.6, 0.1, 0.9), 2, "most with the workers and with other programs"),
        ((0.1, 0.9, 1.0, 0.1, 0.0), 16, "the driver's core"),
        ((0.5, 0.3, 1.9, 0.1, 0.0), 16, "the workers' cores: more workers would help"),
        ((0.9, 0.3, 1.0, 0.1, 0.0), 16, "the server's core"),
        ((0.1, 0.1, 0.2, 0.1, 0.0), 16, "waiting, not processor time"),
    ],
)
def test_the_bottleneck_is_what_is_busy(shares, cores, said):
    server, driver, workers, ray, others = shares
    assert said in Run(2, 100, 1.0, server, driver, workers, ray, others).bottleneck(cores)


def test_children_are_found():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in descendants(os.getpid())
        child.communicate(b"\n")


@pytest.mark.slow
def test_it_measures_one_process_and_a_worker(tmp_path):
    command = [sys.executable, "-m", "benchmarks.measure.scale", "--problems", "60", "--workers", "0", "--workers", "1"]
    done = subprocess.run(
        [*command, "--output", tmp_path / "scale.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "bottleneck with no workers:" in done.stdout
    alone, spread = json.loads((tmp_path / "scale.json").read_text())["runs"]
    assert (alone["workers"], spread["workers"]) == (0, 1)
    for run in (alone, spread):
        assert run["problems"] == 60
        assert run["problems_per_second"] == pytest.approx(60 / run["seconds"])
        assert run["driver_cores"] > 0
        assert run["server_cores"] > 0
    assert alone["worker_cores"] == alone["ray_cores"] == 0
    assert spread["worker_cores"] > spread["driver_cores"]

"""The README: its code runs, and what its commands name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.M | re.S)
CODE = [text for language, text in BLOCKS if language == "python"]


@pytest.mark.parametrize("number", range(len(CODE)))
def test_python_blocks_run(number):
    run = subprocess.run([sys.executable, "-c", CODE[number]], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr[-2000:]


def test_the_ten_lines_print_the_episode_and_what_it_paid():
    run = subprocess.run([sys.executable, "-c", CODE[0]], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert "executor_2 [T=0.70 p=1.10]" in run.stdout
    assert "commitment (coordinator)" in run.stdout
    assert re.search(r"\{'executor_0': 0\.\d+, .*\} [01]\.0", run.stdout)


def test_files_named_exist():
    pattern = r"(?:benchmarks|econ_env|econ_agents|tests|assets)/[\w/]+\.(?:py|sh|yaml|jsonl|png)"
    named = set(re.findall(pattern, README))
    assert len(named) > 10
    assert not {name for name in named if not (ROOT / name).exists()}


def test_targets_named_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets

"""Progress and closing lines on a terminal of 80 columns."""

import io

import pytest
from rich.console import Console

from econ_env.app.runs import display


@pytest.fixture
def screen(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(display, "console", Console(width=80, file=text))
    return text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10.0k"), (999_949, "999.9k"), (999_950, "1.00M"), (123_456_789, "123.46M")],
)
def test_counts_are_short(count, text):
    assert display.short(count) == text


def test_progress_of_a_long_run_fits_and_tells_accuracy_tokens_and_calls(screen):
    with display.progress() as bars:
        tally = display.PhaseTally(bars, "best_of_n@12", 5000)
        for number in range(1200):
            tally.count("correct" if number % 4 else "wrong", 2001, 70)
        tally.count("failed", 0, 1)
    (line,) = screen.getvalue().rstrip().splitlines()
    assert len(line) <= 80
    assert "…" not in line
    assert "1201/5000" in line
    assert "right 75% · 2.40M tok · 84.0k calls" in line


def test_where_output_is_no_terminal_each_phase_is_one_line(screen):
    with display.progress() as bars:
        for name in ("train", "K=1", "K=3"):
            tally = display.PhaseTally(bars, name, 3)
            for _ in range(3):
                tally.count("correct", 10, 1)
    assert len(screen.getvalue().splitlines()) == 3


def test_closing_lines_are_those_of_the_spec(screen):
    part = {"accuracy": 1.0, "correct": 10, "n": 10, "failed": 0, "tokens_per_problem": 1234.5, "calls": 50,
            "rounds": 10, "wall_seconds": 1.25, "thought_tokens": 0}  # fmt: skip
    nothing = part | {"accuracy": None, "correct": 0, "n": 0, "failed": 10, "rounds": 30}
    display.print_summary({"Baseline (no BNE)": part, "P0 BNE (3 rounds)": nothing}, 1.0, False)
    lines = screen.getvalue().splitlines()
    assert lines[1] == "Baseline (no BNE):    10/10 = 100.0%"
    assert lines[2] == "P0 BNE (3 rounds):    0/0 = nothing judged  (10 failed, not counted)"
    assert lines[3] == "P0 Metadata:          JSON=100%"
    assert lines[4].startswith("P0 labels the test with BNE rounds")
    assert any(line.split() == ["P0", "BNE", "(3", "rounds)", "1,234", "50", "3.00", "1.2"] for line in lines)
    assert max(map(len, lines)) <= 80


def test_tokens_of_thought_are_shown_where_there_are_some(screen):
    part = {"accuracy": 1.0, "correct": 10, "n": 10, "failed": 0, "tokens_per_problem": 1234.5, "calls": 50,
            "rounds": 10, "wall_seconds": 1.25, "thought_tokens": 0}  # fmt: skip
    display.print_summary({"Baseline (no BNE)": part}, 1.0, False)
    assert "thought" not in screen.getvalue()
    thought = part | {"thought_tokens": 9_000}
    display.print_summary({"Baseline (no BNE)": part, "P0 BNE (3 rounds)": thought}, 1.0, False)
    lines = screen.getvalue().splitlines()
    assert any(line.split()[:3] == ["tokens/problem", "thought", "calls"] for line in lines)
    assert any(line.split() == ["P0", "BNE", "(3", "rounds)", "1,234", "900", "50", "1.00", "1.2"] for line in lines)
    assert max(map(len, lines)) <= 80

"""Runs with models that think: thought reaches no other model, and a run of nothing but thought says why it failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from econ_env.app.cli import econ
from econ_env.testing import FaultyServer, RawAnswer

SECRET = "the lighthouse"
"""What only the thought mentions."""


def thought_only(body):
    return RawAnswer({"content": None, "reasoning": "Hm."}, "length", {"reasoning_tokens": 1})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda said: RawAnswer({"content": f"<think>\n{SECRET}\n</think>\n\n{said}"}),
        lambda said: RawAnswer({"content": f"{SECRET}</THINKING>{said}"}),
        lambda said: RawAnswer({"content": said, "reasoning_content": SECRET}, usage={"reasoning_tokens": 3}),
        lambda said: RawAnswer({"content": [{"type": "thinking", "thinking": SECRET}, {"type": "text", "text": said}]}),
    ],
    ids=["tags", "only closed", "field", "parts"],
)
def test_no_model_sees_what_another_thought(wrap, run, small, checkpoint, tmp_path):
    asked: list[str] = []

    def reply(body):
        asked.append(json.dumps(body["messages"]))
        return wrap('{"reasoning": "2 + 2", "answer": "4"}' if "response_format" in body else "The answer is 4.")

    with FaultyServer(reply) as server:
        ran = run("test_p0.py", *small, "--model-dir", checkpoint, "--test-eps", 2, "--llm", server.url, "--no-cache")
    assert ran.code == 0, ran.err
    assert len(asked) >= 2 * (1 + 4 + 4)
    assert not any(SECRET in messages or "think" in messages.lower() for messages in asked)
    rows = rows_of(next(tmp_path.glob("logs*")))
    assert {row["answer"] for row in rows} == {"4"}
    summary = json.loads((next(tmp_path.glob("logs*")) / "summary.json").read_text())
    counted = 3 if isinstance(wrap("").usage.get("reasoning_tokens"), int) else 0  # by the server, a call
    for part in summary["methods"].values():
        assert part["thought_tokens"] == counted * part["calls"]


@pytest.mark.parametrize("script", ["test_p0.py", "compare.py"])
def test_a_run_of_nothing_but_thought_says_why_and_fails(
    script: str, run: Callable[..., Any], small: list[str], checkpoint: Path, tmp_path: Path
) -> None:
    which = ["--model-dir", checkpoint, "--test-eps", 2]
    if script == "compare.py":
        which = ["--methods", "single", "--problems", 2]
    with FaultyServer(thought_only) as server:
        ran = run(script, *small, *which, "--llm", server.url, "--no-cache", "--log-dir", "logs")
    assert ran.code == 1, ran.err
    last = ran.err.strip().splitlines()[-1]  # the lines before it tell that the limit was raised
    assert last.startswith("error: no problem could be judged, all ")
    assert "raise llm.thinking_tokens (now 4096)" in last
    assert {row["verdict"] for row in rows_of(tmp_path / "logs")} == {"failed"}
    assert (tmp_path / "logs" / "summary.json").exists()


@pytest.mark.slow
def test_training_of_nothing_but_thought_says_why_and_fails(run, small, tmp_path):
    with FaultyServer(thought_only) as server:
        ran = run(econ, "train", *small, "--train-eps", 2, "--llm", server.url, "--no-cache", "--log-dir", "logs")
    assert ran.code == 1, ran.err
    last = ran.err.strip().splitlines()[-1]
    assert last.startswith("error: no problem could be judged, all 2 failed; the last error: ")
    assert "raise llm.thinking_tokens (now 4096)" in last
    assert (tmp_path / "logs" / "summary.json").exists()


def test_one_question_shows_no_thought_but_what_it_cost(run, small):
    said = RawAnswer({"content": f"<think>{SECRET}</think>The answer is 4."}, usage={"reasoning_tokens": 2})
    with FaultyServer(lambda body: said) as server:
        ran = run(
            econ, "solve", *small, "--set", "env_args.reply_format=text", "--llm", server.url, "--no-cache", "1+1?"
        )
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out
    assert "10 of them thought" in " ".join(ran.out.split())


def test_one_question_without_any_reply_fails(run, small):
    with FaultyServer(thought_only) as server:
        ran = run(econ, "solve", *small, "--llm", server.url, "--no-cache", "1+1?")
    assert ran.code == 1
    assert "error: the team gave no valid reply" in ran.err
    assert "raise llm.thinking_tokens" in ran.err

"""One question from the command line: what is printed, and what is refused."""

import asyncio
from pathlib import Path

import pytest

from econ_env.app.ask.solver import QuestionTeam, known_problems, readable
from econ_env.app.cli import econ
from econ_env.app.run_config import load_run_config
from econ_env.problems.load import load_problems
from econ_env.records import Commitment
from econ_env.testing.faulty_server import FaultyServer

PROBLEM = load_problems("bundled:1", limit=1)[0]


def test_strategy_replies_commitment_and_cost_are_printed(run, small, checkpoint):
    ran = run(econ, "solve", *small, "--model-dir", checkpoint, "--set", "llm.price_prompt=1", "--set",
              "llm.price_completion=2", PROBLEM.question)  # fmt: skip
    assert ran.code == 0, ran.err
    config = load_run_config(Path(small[1]))
    solver = QuestionTeam(config, checkpoint, known_problems(config))
    solver.prepare()
    answer = asyncio.run(solver.solve(PROBLEM.question, seed=0)).answer
    text = " ".join(ran.out.split())
    assert f"question {PROBLEM.question}" in text
    assert f"strategy {answer.episode.strategy.text}" in text
    for reply in answer.replies:
        controls = f"T={reply.controls.temperature:.2f} p={reply.controls.p:.2f}"
        assert f"{reply.agent} {controls} -> {reply.answer}" in text
        assert " ".join(readable(reply).split()) in text
    assert f"round {len(answer.rounds)}" in text
    assert f"commitment (coordinator) -> {answer.rounds[-1].commitment.answer}" in text
    usage = answer.episode.usage
    assert f"cost {usage.tokens:,} tokens" in text
    assert f"{usage.calls} calls" in text
    assert f"${(usage.prompt_tokens + 2 * usage.completion_tokens) / 1e6:.6f}" in text
    assert max(map(len, ran.out.splitlines())) <= 80


def test_without_a_checkpoint_controls_are_neutral_and_one_round_is_played(run, small):
    ran = run(econ, "solve", *small, PROBLEM.question)
    assert ran.code == 0, ran.err
    assert "controls neutral, T=0.7 p=1 (no --model-dir)" in ran.out
    assert ran.out.count("T=0.70 p=1.00") == 3
    assert "round 2" not in ran.out


@pytest.mark.parametrize(("gold", "verdict"), [("1000003", "the gold answer is 1000003"), ("4", "4")])
def test_a_gold_answer_is_judged_and_makes_the_simulated_model_know_it(run, small, gold, verdict):
    ran = run(econ, "solve", *small, "--gold", gold, "How many words has this?")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if line.startswith("answer"))
    assert line.endswith(f"the gold answer is {gold}")
    assert ("correct" in line) == (line.split()[1] == gold)


def test_the_question_s_text_is_data(run, small):
    ran = run(econ, "solve", *small, "--gold", "2", "What is [bold]1 + 1[/bold] [/]?")
    assert ran.code == 0, ran.err
    assert "What is [bold]1 + 1[/bold] [/]?" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["What is 1000 + 1?"], "knows only the problems of bundled:1"),
        (["  "], "the question is empty"),
        (["--max-rounds", "2", PROBLEM.question], "takes one decision"),
        (["--model-dir", "./none", PROBLEM.question], "there is no folder 'none'; train first"),
        ([], "Missing argument 'QUESTION'"),
    ],
)
def test_bad_input_is_one_clear_line(run, small, arguments, message):
    ran = run(econ, "solve", *small, *arguments)
    assert ran.code == 2
    assert ran.err.count("error: ") == 1
    assert message in ran.err


def test_a_team_of_another_shape_is_refused(run, small, checkpoint):
    ran = run(econ, "solve", *small, "--model-dir", checkpoint, "--set", "env_args.memory_length=7", PROBLEM.question)
    assert ran.code == 2
    assert "trained on 24 numbers of agent_memory, the environment has 42; use the memory" in ran.err


def test_the_checkpoint_decides_how_many_executors_there_are_unless_told(run, small, checkpoint):
    assert "3 executors" in run(econ, "solve", *small, "--model-dir", checkpoint, PROBLEM.question).out
    ran = run(econ, "solve", *small, "--model-dir", checkpoint, "--n-agents", 2, PROBLEM.question)
    assert ran.code == 0, ran.err
    assert "2 executors" in ran.out
    assert "executor_2" not in ran.out


def test_a_large_team_shows_its_clusters(run, small):
    ran = run(econ, "solve", *small, "--n-agents", 6, PROBLEM.question)
    assert ran.code == 0, ran.err
    assert "executor_0 to executor_2 (coordinator) ->" in ran.out
    assert "executor_3 to executor_5 (coordinator) ->" in ran.out


def test_a_team_that_fails_says_why_and_exits_with_1(run, small):
    with FaultyServer(faults={"error_503": 1.0}) as server:
        ran = run(econ, "solve", *small, "--llm", server.url, "--no-cache", "--set", "llm.max_retries=0", "1 + 1?")
    assert ran.code == 1
    assert "error: the team gave no valid reply" in ran.err
    assert "INVALID" in ran.out
    assert "answer   none" in ran.out


def test_json_is_read_aloud_and_other_texts_are_shown_as_they_are():
    def said(text, parsed_json):
        return readable(Commitment(text, "4", "coordinator", parsed_json))

    assert said('{"reasoning": "Two twos.", "answer": "4"}', True) == "Two twos.\n\nThe answer is 4."
    assert said('{"answer": "4"}', True) == '{"answer": "4"}'
    assert said("The answer is 4.", False) == "The answer is 4."
    assert said(None, False) == ""


def test_several_decisions_are_refused_before_anything_is_loaded(run, small):
    for command in (["solve", "What is 1 + 1?"], ["serve", "--port", "0"]):
        ran = run(econ, *command, *small, "--max-rounds", 2, "--dataset", "no-such-file.jsonl")
        assert ran.code == 2
        (line,) = ran.err.splitlines()
        assert line.startswith("error: a question takes one decision")

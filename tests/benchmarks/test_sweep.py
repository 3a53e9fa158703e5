"""The sweep over controls: what it counts, what it asks servers for, and that a second run asks nothing."""

import json
import re

import pytest
from click.testing import CliRunner

from benchmarks.measure.sweep import different, main
from econ_env.answers import DEFAULT_RULE
from econ_env.errors import ConfigError, NothingJudgedError
from econ_env.records import PromptEmbedding, Reply
from econ_env.testing import FaultyServer, RawAnswer


@pytest.fixture
def problems(tmp_path):
    """Two plus n, for n from 1 to 7; six are asked, as in a test."""
    path = tmp_path / "sums.jsonl"
    rows = [{"question": f"How much is 2 + {n}?", "answer": str(2 + n)} for n in range(1, 8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reply(body):
    """Right when cold; when hot, noise up to the limit; between, an answer for each seed."""
    number = int(re.findall(r"2 \+ (\d)", body["messages"][-1]["content"])[-1])
    if body["temperature"] > 1.5:
        return RawAnswer(
            {"content": "blue of the sea and of red so"}, finish_reason="length", usage={"completion_tokens": 192}
        )
    said = 2 + number if body["temperature"] < 0.5 else 100 + body["seed"] % 4
    return RawAnswer({"content": f"The answer is {said}."}, usage={"completion_tokens": 5})


def run(server, problems, tmp_path, *options):
    command = ["--llm", server.url, "--dataset", str(problems), "--problems", "6", "--set", "embedder=hash"]
    command += ["--set", f"llm.cache_dir={tmp_path / 'cache'}", "--set", "llm.max_retries=0"]
    out = tmp_path / "sweep.json"
    ran = CliRunner().invoke(main, [*command, "--out", str(out), *options])
    return ran, json.loads(out.read_text()) if out.exists() else None


def test_it_counts_what_replies_do(problems, tmp_path):
    with FaultyServer(reply) as server:
        ran, seen = run(server, problems, tmp_path, "--temperatures", "0.1,1,2", "--sampled", "3")
        assert ran.exit_code == 0, ran.output
        assert server.seen.calls == 3 * (6 + 3 * 3)
        again, same = run(server, problems, tmp_path, "--temperatures", "0.1,1,2", "--sampled", "3")
        assert server.seen.calls == 3 * (6 + 3 * 3)  # the second run asked nothing
    cold, between, hot = seen["cells"]
    assert [cell["right"] for cell in seen["cells"]] == [6, 0, 0]
    assert [cell["answered"] for cell in seen["cells"]] == [6, 6, 0]
    assert [cell["ended"] for cell in seen["cells"]] == [6, 6, 0]
    assert [cell["tokens"] for cell in seen["cells"]] == [5, 5, 192]
    assert [cell["different"] for cell in seen["cells"]] == [1, 4, 0]  # the seeds of samples are consecutive
    assert cold["interval"] == pytest.approx([0.6097, 1.0], abs=1e-4)  # 6 of 6: n / (n + z^2) is the lower end
    assert {cell["valid"] for cell in seen["cells"]} == {6}
    for row, repeated in zip(seen["cells"], same["cells"], strict=True):
        assert row | {"seconds": 0} == repeated | {"seconds": 0}
    assert between["temperature"] == 1
    assert hot["failed"] == 0
    assert "100% [61%, 100%]" in ran.output
    assert again.exit_code == 0


def test_each_combination_is_sent(problems, tmp_path):
    with FaultyServer(reply) as server:
        options = ("--temperatures", "0.1,0.3", "--penalties", "1,1.1", "--min-p", "0,0.05", "--sampled", "0")
        ran, seen = run(server, problems, tmp_path, *options)
        names = ("temperature", "repetition_penalty", "min_p")
        sent = {tuple(body[name] for name in names) for body in server.seen.bodies}
    assert ran.exit_code == 0, ran.output
    cells = [(cell["temperature"], cell["penalty"], cell["min_p"]) for cell in seen["cells"]]
    assert sent == set(cells)
    assert len(cells) == 8
    assert all(cell["different"] is None for cell in seen["cells"])


def test_a_failed_call_is_neither_right_nor_wrong(problems, tmp_path):
    with FaultyServer(reply, faults={"error_500": 1.0}) as server:
        ran, seen = run(server, problems, tmp_path, "--temperatures", "0.1")
    assert isinstance(ran.exception, NothingJudgedError)
    (cell,) = seen["cells"]
    assert (cell["valid"], cell["failed"], cell["interval"], cell["different"]) == (0, 6, None, None)
    assert "500" in cell["error"]
    assert cell["error"] in str(ran.exception)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("0.1,hot", "is not a list of numbers such as 0.1,0.7,1.3"),
        ("0.1,2.5", "each number must be in [0, 2], got 0.1,2.5"),
        ("nan", "each number must be in [0, 2]"),
    ],
)
def test_a_wrong_list_is_refused(option, said):
    ran = CliRunner().invoke(main, ["--llm", "simulated", "--temperatures", option])
    assert ran.exit_code == 2
    assert said in " ".join(re.sub(r"[│╭╰─╮╯]", " ", ran.output).split())


def test_another_second_control_is_refused():
    ran = CliRunner().invoke(main, ["--llm", "simulated", "--set", "sampling.second_action=top_p"])
    assert isinstance(ran.exception, ConfigError)
    assert "sampling.second_action" in str(ran.exception)


def test_answers_differ_by_the_rule():
    said = ["18", "18.0", "$18", None, "19"]
    replies = [Reply("executor_0", PromptEmbedding(1.0, 1.0), "text", answer, "valid") for answer in said]
    assert different(replies, DEFAULT_RULE) == 2

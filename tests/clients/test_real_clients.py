"""Other people's clients ask a served team, each in an environment of its own; a page asks it from another origin."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from econ_env.app.ask.cross_origin import check_origins
from econ_env.problems.load import load_problems
from econ_env.records import Problem
from tests.econ_env.app.ask.serving import PROBLEMS, a_solver, served
from tests.econ_env.app.conftest import SMALL

RUN = Path(__file__).parents[2] / "benchmarks" / "clients" / "run.py"
pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulated team with neutral controls."""
    config = tmp_path_factory.mktemp("config") / "small.yaml"
    config.write_text(SMALL)
    with served(a_solver(["--config", config]), origins=check_origins(["null"])) as url:
        yield url


def decide(url: str, problem: Problem, seed: int | None = None) -> str:
    """What the team decides on a problem, with a seed or the server's."""
    body = {"model": "econ", "messages": [{"role": "user", "content": problem.question}], "seed": seed}
    answer: str = httpx.post(f"{url}/chat/completions", json=body, timeout=60.0).json()["econ"]["answer"]
    return answer


@pytest.fixture(scope="module")
def asked(url: str) -> list[Problem]:
    """Six problems: the first three that the team gets right, and the first three that it gets wrong."""
    right: dict[bool, list[Problem]] = {True: [], False: []}
    for problem in load_problems("bundled:1", split="test").problems:
        right[decide(url, problem) == problem.answer].append(problem)
        if min(map(len, right.values())) >= 3:
            break
    return [*right[True][:3], *right[False][:3]]


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory, asked: list[Problem]) -> Path:
    file = tmp_path_factory.mktemp("problems") / "problems.json"
    file.write_text(json.dumps([{"question": problem.question, "answer": problem.answer} for problem in asked]))
    return file


@pytest.fixture(scope="module")
def decided(url: str, asked: list[Problem]) -> Any:
    """What the team decides on a problem, by its number."""
    return functools.cache(lambda number, seed=None: decide(url, asked[number], seed))


@pytest.fixture
def client(url: str, problems: Path) -> Any:
    """Runs a client's script, and gives what it got."""

    def run(name: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, RUN, name, url, problems], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        got: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        print(json.dumps(got))
        return got

    return run


def says(text: str, answer: str) -> bool:
    """Whether a text is the team's own words, with this answer."""
    return text.endswith(f"The answer is {answer}.")


def test_openai(client, decided):
    got, answer = client("openai"), decided(0)
    for name in ("chat", "chat_streamed", "response_after", "response_streamed"):
        assert says(got[name], answer), name
    assert got["response"] == answer  # it asked for the number only
    assert got["chat_parsed"] == got["response_parsed"] == int(answer)
    assert len(got["choices"]) == 3
    assert says(got["choices"][0], answer)
    assert got["kinds"][0] == "response.created"
    assert got["kinds"][-1] == "response.completed"
    assert got["tokens"] > 0
    assert got["refused"] == {"chat": "tools are not supported", "responses": "tools are not supported"}


def test_litellm(client, decided):
    got, answer = client("litellm"), decided(0)
    assert all(says(got[name], answer) for name in ("chat", "chat_streamed", "response"))
    assert got["chat_parsed"] == int(answer)
    assert got["tokens"] > 0
    assert "logprobs are not supported" in got["refused"]


def test_langchain_openai(client, decided):
    got, answer = client("langchain"), decided(0)
    assert all(says(got[name], answer) for name in ("chat", "chat_streamed", "response", "response_streamed"))
    assert [says(text, decided(number)) for number, text in enumerate(got["batch"])] == [True] * 3
    assert got["chat_parsed"] == got["json_mode"] == int(answer)
    assert got["tokens"] > 0


def test_inspect_ai(client, decided):
    got = client("inspect")
    for api in ("default", "chat", "responses"):
        assert got[api]["status"] == "success", got[api]["error"]
        assert got[api]["completions"] == [f"ANSWER: {decided(number)}" for number in range(6)]
        assert got[api]["accuracy"] == pytest.approx(3 / 6)
        assert got[api]["tokens"] > 0


LM_EVAL_SEED = 1234
"""The seed that lm-eval sends with every request."""


def test_lm_eval(client, decided, asked):
    got = client("lm_eval")
    found = [decided(number, LM_EVAL_SEED) for number in range(6)]
    assert all(says(text, answer) for text, answer in zip(got["completions"], found, strict=True))
    right = sum(answer == problem.answer for answer, problem in zip(found, asked, strict=True))
    assert got["accuracy"] == pytest.approx(right / 6)


def test_dspy(client, decided):
    got, answers = client("dspy"), [int(decided(number)) for number in range(6)]
    assert got["predict"] == answers
    assert got["as_json"] == answers[:2]
    assert got["few_shot"] == answers[1]
    reasoning, answer = got["thought"]
    assert answer == decided(0)
    assert reasoning
    assert got["text"][0].startswith("[[ ## reasoning ## ]]")


def test_llm(client, decided):
    got, answer = client("llm"), decided(0)
    assert says(got["chat"], answer)
    assert got["chat_streamed"] == got["chat"]
    assert got["system"] == answer
    assert got["chat_parsed"] == int(answer)


def test_promptfoo(client, decided):
    got, answer = client("promptfoo"), decided(0)
    for api in ("chat", "responses"):
        assert got[f"{api} number"] == [True, answer]
        passed, said = got[f"{api} json"]
        assert passed
        assert (json.loads(said) if isinstance(said, str) else said) == {"answer": int(answer)}
        passed, said = got[f"{api} plain"]
        assert passed
        assert says(said, answer)


# A page --------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><title>asks</title><script>
async function ask(url, body) {
  try {
    const sent = {method: "POST", headers: {"Content-Type": "application/json", Authorization: "Bearer any"}};
    const answer = await fetch(url, {...sent, body: JSON.stringify(body)});
    return {status: answer.status, text: await answer.text()};
  } catch (error) { return {status: 0, text: String(error)}; }
}
</script>"""


@contextmanager
def pages(folder: Path) -> Iterator[str]:
    """The origin of a server for the files of a folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_page_in_chromium_asks_from_its_own_origin_and_no_other(tmp_path):
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is missing: apt-get install chromium, or set CHROMIUM to its path"
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "small.yaml").write_text(SMALL)
    solver = a_solver(["--config", tmp_path / "small.yaml"])
    body = {"model": "econ", "messages": [{"role": "user", "content": PROBLEMS[0].question}]}
    with pages(tmp_path) as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # CI often runs as root

        def ask(url: str, place: str, asked: dict[str, Any]) -> dict[str, Any]:
            page = browser.new_page()
            page.goto(place)
            found: dict[str, Any] = page.evaluate("([url, body]) => ask(url, body)", [url, asked])
            page.close()
            return found

        with served(solver, key="any", origins=check_origins([origin])) as url:
            whole = ask(f"{url}/chat/completions", f"{origin}/page.html", body)
            assert whole["status"] == 200
            answer = json.loads(whole["text"])["econ"]["answer"]
            assert says(json.loads(whole["text"])["choices"][0]["message"]["content"], answer)
            streamed = ask(f"{url}/chat/completions", f"{origin}/page.html", {**body, "stream": True})
            assert streamed["text"].endswith("data: [DONE]\n\n")
            refused = ask(f"{url}/chat/completions", f"{origin}/page.html", {**body, "n": 99})
            assert (refused["status"], json.loads(refused["text"])["error"]["param"]) == (400, "n")
            other = ask(f"{url}/chat/completions", (tmp_path / "page.html").as_uri(), body)
            assert (other["status"], other["text"]) == (0, "TypeError: Failed to fetch")
        with served(solver, key="any", origins=check_origins(["null"])) as url:
            assert ask(f"{url}/chat/completions", (tmp_path / "page.html").as_uri(), body)["status"] == 200
        browser.close()


def test_a_client_that_does_not_exist_is_one_clear_line(problems):
    command = [sys.executable, RUN, "opena", "http://127.0.0.1:9/v1", problems]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'openai'" in done.stderr
    assert "Traceback" not in done.stderr

"""The served team, asked by the real OpenAI client over HTTP on this machine alone."""

import asyncio
import json
import socket

import httpx2 as httpx
import openai
import pytest

from econ_env.app.ask.serve import read_key
from econ_env.app.cli import econ
from econ_env.errors import BudgetError, ConfigError, LLMUnavailableError
from econ_env.testing.faulty_server import FaultyServer, RawAnswer
from tests.econ_env.app.ask.serving import PROBLEMS, a_client, a_solver, ask, served


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["econ"]
    assert client.models.retrieve("econ").owned_by == "econ"
    with pytest.raises(openai.NotFoundError, match="only 'econ'"):
        client.models.retrieve("gpt-4")


def test_the_team_answers_and_tells_what_it_cost(client, solver):
    problem = PROBLEMS[0]
    done = ask(client, problem.question)
    expected = asyncio.run(solver.solve(problem.question, seed=0)).answer
    choice = done.choices[0]
    assert (choice.finish_reason, choice.message.role, done.model) == ("stop", "assistant", "econ")
    assert choice.message.content.endswith(f"The answer is {expected.rounds[-1].commitment.answer}.")
    assert not choice.message.content.startswith("{")
    usage = expected.episode.usage
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert done.usage.total_tokens == usage.tokens > 0
    told = done.model_extra["econ"]
    assert told["answer"] == expected.rounds[-1].commitment.answer
    assert told["strategy"] == expected.episode.strategy.text
    assert [[reply["text"] for reply in round_["replies"]] for round_ in told["rounds"]] == [
        [reply.text for reply in round_.replies] for round_ in expected.rounds
    ]
    assert sum(told["tokens"].values()) == usage.tokens
    assert told["calls"] == usage.calls == 1 + 4 * len(told["rounds"])
    assert told["stop_reason"] == expected.stop_reasons[-1]


def test_a_stream_carries_the_same_answer(client):
    whole = ask(client, PROBLEMS[1].question)
    parts = list(ask(client, PROBLEMS[1].question, stream=True, stream_options={"include_usage": True}))
    said = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert said == whole.choices[0].message.content
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "stop"
    assert parts[-1].usage == whole.usage
    assert parts[-2].model_extra["econ"]["answer"] == whole.model_extra["econ"]["answer"]
    assert len({part.id for part in parts}) == 1
    assert all(part.usage is None for part in ask(client, PROBLEMS[1].question, stream=True))


def test_many_are_answered_at_once_each_its_own_question(url, solver):
    async def everybody():
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, problem.question) for problem in PROBLEMS))

    done = asyncio.run(everybody())
    for problem, one in zip(PROBLEMS, done, strict=True):
        alone = asyncio.run(solver.solve(problem.question, seed=0)).answer
        assert one.model_extra["econ"]["answer"] == alone.rounds[-1].commitment.answer
        assert one.usage.total_tokens == alone.episode.usage.tokens


def test_requests_wait_for_the_models_together(small):
    solver = a_solver(small)
    waiting, most = 0, 0
    answers = solver._llm.complete

    async def slow(request):
        nonlocal waiting, most
        waiting += request.role == "strategy"
        most = max(most, waiting)
        await asyncio.sleep(0.05)
        waiting -= request.role == "strategy"
        return await answers(request)

    solver._llm.complete = slow

    async def everybody(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
            await asyncio.gather(*(ask(client, problem.question) for problem in PROBLEMS[:6]))

    with served(solver) as url:
        asyncio.run(everybody(url))
    assert most == 6


def test_the_same_seed_gives_the_same_answer_and_another_one_another(client):
    def texts(seed):
        told = ask(client, PROBLEMS[2].question, seed=seed).model_extra["econ"]
        return [reply["text"] for reply in told["rounds"][0]["replies"]]

    assert texts(1) == texts(1)
    assert any(texts(1) != texts(seed) for seed in (2, 3, 4, 5))


def test_wishes_on_sampling_do_not_change_what_the_team_decides(client):
    plain = ask(client, PROBLEMS[3].question)
    wished = ask(client, PROBLEMS[3].question, temperature=0.0, top_p=0.1, max_tokens=5, user="me", store=True)
    assert wished.choices == plain.choices
    assert plain.choices[0].message.content.count("\n\nThe answer is") == 1


def test_a_stop_sequence_ends_the_text_but_takes_no_answer_away_if_it_can_be_helped(client):
    plain = ask(client, PROBLEMS[3].question)
    whole, answer = plain.choices[0].message.content, plain.model_extra["econ"]["answer"]
    for stop, text in (
        ("\n\n", f"The answer is {answer}."),  # which lm-eval sends if a task names none
        (["never", "."], f"The answer is {answer}"),
        ("The answer", whole.partition("The answer")[0]),
        (["solutions", "\n\n"], f"The answer is {answer}."),
    ):
        stopped = ask(client, PROBLEMS[3].question, stop=stop)
        assert stopped.choices[0].message.content == text
        assert stopped.model_extra["econ"]["answer"] == answer


def test_instructions_and_earlier_turns_stand_before_the_question(url, solver, monkeypatch):
    seen = []
    solve = solver.solve

    async def noting(question, **more):
        seen.append(question)
        return await solve(PROBLEMS[0].question, **more)

    monkeypatch.setattr(solver, "solve", noting)
    with a_client(url) as client:
        client.chat.completions.create(
            model="econ",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is 1 + 1?"},
                {"role": "assistant", "content": "2"},
                {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "twice that?"}]},
            ],
        )
    assert seen == ["Be brief.\n\nUser: What is 1 + 1?\n\nAssistant: 2\n\nUser: And\ntwice that?"]


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_what_can_not_be_given_is_refused(client, more, param):
    body = {"model": "econ", "messages": [{"role": "user", "content": PROBLEMS[0].question}], **more}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert caught.value.param.startswith(param)
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "x"}])
    assert (caught.value.status_code, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "code"),
    [
        ("POST", "/chat/completions", b"{", {"Content-Type": "application/json"}, 400, "invalid_json"),
        ("POST", "/chat/completions", b"\xff", {"Content-Type": "application/json"}, 400, "invalid_json"),
        ("POST", "/chat/completions", b"[" * 100_000, {"Content-Type": "application/json"}, 400, "invalid_json"),
        ("POST", "/chat/completions", b"[]", {"Content-Type": "application/json"}, 400, "invalid_value"),
        ("POST", "/chat/completions", b"{}", {"Content-Type": "text/plain"}, 400, "invalid_content_type"),
        ("POST", "/chat/completions", b"x" * 1_100_000, {"Content-Type": "application/json"}, 413, "http_error"),
        ("GET", "/chat/completions", b"", {}, 405, "http_error"),
        ("GET", "/nothing", b"", {}, 404, "not_found"),
    ],
)
def test_bodies_and_paths_that_make_no_sense(url, method, path, content, headers, status, code):
    answer = httpx.request(method, url + path, content=content, headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]


def test_a_key_is_asked_for_where_there_is_one(solver):
    with served(solver, key="s3cret") as url:
        with a_client(url, "s3cret") as client:
            assert ask(client, PROBLEMS[0].question).choices
        for sent in (b"Bearer wrong", b"Bearer", b"Bearer s3cretx", b"Basic s3cret", b"s3cret", b"Bearer \xff"):
            answer = httpx.get(f"{url}/models", headers={"Authorization": sent})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
            assert "s3cret" not in answer.text
        assert httpx.get(f"{url}/models").status_code == 401
        with a_client(url, "wrong") as client, pytest.raises(openai.AuthenticationError):
            ask(client, PROBLEMS[0].question)


def test_a_question_that_a_simulated_team_does_not_know_is_refused_with_one_that_it_knows(client):
    with pytest.raises(openai.BadRequestError, match="simulated and knows only 50 problems, such as 'Emma") as caught:
        ask(client, "What is the airspeed of a swallow?")
    assert caught.value.code == "unknown_question"
    assert ask(client, PROBLEMS[0].question).choices  # the next one is answered


def test_models_that_fail_over_http_give_no_made_up_answer(small):
    with FaultyServer(faults={"error_500": 1.0}) as models:
        solver = a_solver(small, None, f"llm.backend={models.url}", "llm.max_retries=0", "llm.cache=false")
        with served(solver) as url, a_client(url) as client, pytest.raises(openai.InternalServerError) as caught:
            ask(client, "What is 2 + 2?")
    assert caught.value.status_code == 502
    assert "failed on purpose" in str(caught.value)


def test_a_real_server_behind_the_team(small):
    with FaultyServer(latency=0.01) as models:
        solver = a_solver(small, None, f"llm.backend={models.url}", "llm.cache=false")
        with served(solver) as url, a_client(url) as client:
            done = ask(client, "What is 2 + 2?")
    assert done.model_extra["econ"]["answer"] == "4"
    assert done.model_extra["econ"]["calls"] == models.seen.calls == 5


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BudgetError("spent"), 429, "insufficient_quota"),
        (LLMUnavailableError("gone"), 503, "team_unavailable"),
        (ZeroDivisionError("secret detail"), 500, "internal_error"),
    ],
)
def test_errors_have_their_status(url, solver, monkeypatch, error, status, code):
    async def fails(*_, **__):
        raise error

    monkeypatch.setattr(solver, "solve", fails)
    with a_client(url) as client, pytest.raises(openai.APIStatusError) as caught:
        ask(client, "x")
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "secret detail" not in str(caught.value)


def test_a_client_that_gives_up_leaves_the_team_usable(small):
    solver = a_solver(small)
    answers = solver._llm.complete

    async def slow(request):
        await asyncio.sleep(0.3)
        return await answers(request)

    with served(solver) as url, a_client(url) as client:
        solver._llm.complete = slow
        with pytest.raises(openai.APITimeoutError):
            ask(client, PROBLEMS[0].question, timeout=0.1)
        solver._llm.complete = answers
        alone = asyncio.run(solver.solve(PROBLEMS[1].question, seed=0)).answer
        done = ask(client, PROBLEMS[1].question)
    assert done.model_extra["econ"]["answer"] == alone.rounds[-1].commitment.answer


# The command -------------------------------------------------------------------------------------------------------


def test_keys_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ECON_API_KEY", raising=False)
    assert read_key(None) is None
    monkeypatch.setenv("ECON_API_KEY", " from-environment ")
    assert read_key(None) == "from-environment"
    (tmp_path / "key").write_text("from-file\n")
    assert read_key(tmp_path / "key") == "from-file"
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        read_key(tmp_path / "empty")
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        read_key(tmp_path / "none")


def test_only_this_machine_is_listened_to_by_default(run):
    assert "[default: 127.0.0.1]" in run(econ, "serve", "--help").out


def test_a_port_in_use_is_one_clear_line(run, small):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run(econ, "serve", *small, "--port", port)
    assert ran.code == 2
    assert ran.err == f"error: can't listen on 127.0.0.1 port {port}: Address already in use; choose another --port or --host\n"  # fmt: skip # noqa: E501


def test_errors_in_json_are_whole(url):
    body = httpx.post(f"{url}/chat/completions", json={"model": "econ"}).json()
    assert json.loads(json.dumps(body))["error"].keys() == {"message", "type", "param", "code"}


def test_clients_get_no_thought_but_its_count(small):
    said = RawAnswer(
        {"content": "<thinking>the lighthouse</thinking>The answer is 4.", "reasoning_content": "the lighthouse"},
        usage={"completion_tokens_details": {"reasoning_tokens": 2}},
    )
    with FaultyServer(lambda body: said) as server:
        more = ("env_args.reply_format=text", f"llm.backend={server.url}", "llm.cache=false")
        with served(a_solver(small, None, *more)) as url, a_client(url) as client:
            done = ask(client, "What is 1 + 3?")
            parts = list(ask(client, "What is 1 + 3?", stream=True))
    whole = done.model_dump_json() + "".join(part.model_dump_json() for part in parts)
    assert done.choices[0].message.content == "The answer is 4."
    assert "lighthouse" not in whole
    assert done.usage.completion_tokens_details.reasoning_tokens == 10
    assert done.usage.completion_tokens >= 10

"""The client against a server that works: concurrency, cache, account, budget, limits, processes and secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError, ConfigError, LLMError, LLMRequestError, LLMUnavailableError
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.make import make_llm
from econ_env.llm.protocol import LLM
from econ_env.records import Usage
from econ_env.testing import check_llm
from econ_env.testing.scripted import ScriptedLLM

KEY = "sk-geheim-0123456789"


def ask(llm, request):
    return asyncio.run(llm.complete(request))


def ask_all(llm, requests, **options):
    async def all_of_them():
        return await asyncio.gather(*(llm.complete(request) for request in requests), **options)

    return asyncio.run(all_of_them())


def echo(body):
    """An answer that tells the requests apart."""
    return f"The answer is {body['seed']}."


def total(parts):
    return sum(parts, Usage())


def test_it_is_an_llm_in_every_respect(serve, client):
    server = serve(echo, latency=0.01)
    gone = client("http://127.0.0.1:9/v1", max_retries=0)
    check_llm(lambda: client(server), make_broken=lambda: gone)
    assert isinstance(gone, LLM)


# Models and addresses ------------------------------------------------------------------------------------------------


def test_the_server_is_asked_once_for_its_model(serve, client, request_):
    server = serve(echo, latency=0.02)
    llm = client(server)
    assert llm.info.model == ""
    ask_all(llm, [request_(seed=seed) for seed in range(20)])
    assert server.seen.requests == {"/v1/models": 1, "/v1/chat/completions": 20}
    assert llm.info.model == "test-model"
    assert llm.info.where == server.url


def test_it_prepares_for_its_first_call_without_a_call(serve, client, request_):
    server = serve(echo)
    llm = client(server)
    opened = llm._pool.connections[0]
    assert opened._http is None
    asyncio.run(llm.prepare())
    session = opened._http
    assert session is not None
    assert not server.seen.requests
    ask(llm, request_())
    assert opened._http is session


def test_a_key_that_no_header_can_hold_is_refused_when_preparing(serve, client, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-gehéim")
    with pytest.raises(LLMRequestError, match="outside printable ASCII"):
        asyncio.run(client(serve(echo)).prepare())


def test_what_it_tells_of_itself_follows_what_it_learns(serve, client, request_):
    server = serve(echo, refuses=["response_format"])
    llm = client(server)
    assert (llm.info.model, llm.info.json_mode) == ("", True)
    ask(llm, request_(json_schema={"type": "object"}))
    assert (llm.info.model, llm.info.json_mode) == ("test-model", False)
    assert llm.info is llm.info


def test_a_dead_server_is_asked_for_its_model_once_for_all_who_wait(answer, client, request_):
    llm = client(answer(503), max_retries=2, retry_wait=0.05, retry_wait_max=0.05)
    failed = ask_all(llm, [request_(seed=seed) for seed in range(20)], return_exceptions=True)
    assert {type(error) for error in failed} == {LLMUnavailableError}
    account = llm.meter.snapshot()
    assert account.failed == {"server_error": 20}
    assert account.faults == {"server_error": 3}


def test_of_several_models_one_must_be_named(serve, client, request_):
    server = serve(echo, models=["a", "b"])
    with pytest.raises(LLMRequestError, match="has 2 models, so name one: a, b"):
        ask(client(server), request_())
    assert ask(client(server, "b"), request_()).model == "b"
    assert ask(client(server, "b"), request_(model="a")).model == "a"


@pytest.mark.parametrize(
    ("environment", "where", "model"),
    [
        ({"TOGETHER_API_KEY": KEY}, "https://api.together.xyz/v1", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ({"TOGETHER_API_KEY": KEY, "TOGETHER_BASE_URL": "http://u:pw-geheim@proxy/t"}, "http://proxy/t", None),
        ({"OPENAI_BASE_URL": "http://u:pw-geheim@host:1/v1"}, "http://host:1/v1", ""),
    ],
)
def test_auto_goes_by_the_environment_and_says_so(monkeypatch, caplog, environment, where, model):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.INFO):
        llm = make_llm("auto")
    assert llm.info.where == where
    assert model in (None, llm.info.model)
    assert where in caplog.text
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("together2", "did you mean 'together'"),
        ("gpt", "give auto"),
        ("together", "set TOGETHER_API_KEY"),
        ("simulated", "needs its problems"),
        ("local:/nowhere/x.gguf", "no model file"),
        (3, "must be text or an object with info, complete and aclose"),
    ],
)
def test_what_can_not_be_understood_is_refused(spec, hint):
    with pytest.raises(ConfigError, match=hint):
        make_llm(spec)


def test_an_object_is_taken_as_it_is_and_a_client_can_be_given_another_model(serve, client):
    scripted = ScriptedLLM(["4"])
    assert make_llm(scripted) is scripted
    with pytest.raises(ConfigError, match="runs 'scripted'"):
        make_llm(scripted, model="other")
    llm = client(serve(models=["a", "b"]), "a")
    other = make_llm(llm, model="b")
    assert isinstance(other, OpenAIClient)
    assert (llm.info.model, other.info.model) == ("a", "b")


# Concurrency ---------------------------------------------------------------------------------------------------------


def test_exactly_as_many_calls_are_in_flight_as_allowed(serve, client, request_):
    server = serve(echo, latency=0.03)
    answers = ask_all(client(server, concurrency=5), [request_(seed=seed) for seed in range(40)])
    assert server.seen.most_in_flight == 5
    assert [done.text for done in answers] == [f"The answer is {seed}." for seed in range(40)]


def test_two_models_of_one_server_share_its_slots(serve, client, request_):
    server = serve(echo, latency=0.03, models=["a", "b"])
    one, other = client(server, "a", concurrency=4), client(server, "b", concurrency=4)

    async def both():
        calls = [llm.complete(request_(seed=seed)) for seed in range(12) for llm in (one, other)]
        return await asyncio.gather(*calls)

    assert Counter(done.model for done in asyncio.run(both())) == {"a": 12, "b": 12}
    assert server.seen.most_in_flight == 4


@pytest.mark.slow
def test_a_thousand_calls_in_flight_take_no_thread_of_their_own(serve, client, request_):
    server = serve(echo, latency=0.01)
    llm = client(server, concurrency=50, cache=True)
    ask(llm, request_())
    most = threading.active_count()

    async def watched():
        nonlocal most
        calls = [asyncio.ensure_future(llm.complete(request_(seed=seed))) for seed in range(1000)]
        while not all(call.done() for call in calls):
            most = max(most, threading.active_count())
            await asyncio.sleep(0.01)
        return [call.result() for call in calls]

    before = threading.active_count()
    assert len(asyncio.run(watched())) == 1000
    assert most <= before + 2


def test_it_serves_sync_code_coroutines_and_threads_at_once(serve, client, request_):
    server = serve(echo)
    llm = client(server)

    async def in_a_running_loop():
        return background.run(llm.complete(request_(seed=1)))  # as a sync call in a notebook does

    texts = [asyncio.run(in_a_running_loop()).text, background.run(llm.complete(request_(seed=2))).text]
    threads = [
        threading.Thread(target=lambda seed=seed: texts.append(ask(llm, request_(seed=seed)).text)) for seed in (3, 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == [f"The answer is {seed}." for seed in (1, 2, 3, 4)]


def test_connections_are_closed_by_the_last_user_and_opened_again(serve, client, request_):
    server = serve(echo)
    one, other = client(server), client(server)
    ask(one, request_()), ask(other, request_())
    asyncio.run(one.aclose())
    assert ask(other, request_(seed=2)).text
    asyncio.run(other.aclose())
    asyncio.run(other.aclose())
    assert ask(one, request_(seed=3)).text


# Limits --------------------------------------------------------------------------------------------------------------


def test_requests_per_minute_are_shared_by_everybody_in_the_process(serve, client, request_):
    server = serve(echo, models=["a", "b"])
    clients = [client(server, name, rpm=600.0) for name in ("a", "b", "a")]  # ten a second, ten at once

    async def all_of_them():
        calls = [llm.complete(request_(seed=seed)) for seed in range(5) for llm in clients]
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*calls)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(all_of_them()) >= 5 / 10 - 0.05  # fifteen calls: ten at once, five at ten a second


def test_tokens_per_minute_hold_calls_back(serve, client, request_):
    server = serve(echo)
    llm = client(server, "test-model", tpm=60_000.0)  # a thousand a second, a thousand at once
    start = asyncio.run(_clock())
    ask_all(llm, [request_(seed=seed, max_tokens=700) for seed in range(3)])
    assert asyncio.run(_clock()) - start >= 3 * 0.7 - 1.0


async def _clock():
    return asyncio.get_running_loop().time()


# Cache ---------------------------------------------------------------------------------------------------------------


def test_a_finished_run_replays_bit_for_bit_without_a_server(serve, client, request_):
    server = serve(echo, faults={"error_500": 0.3, "empty": 0.2}, seed=3)
    requests = [request_(seed=seed, agent=f"executor_{seed % 3}") for seed in range(40)]
    llm = client(server, "test-model", cache=True, max_retries=20)
    first = ask_all(llm, requests, return_exceptions=True)
    answered = [(r, done) for r, done in zip(requests, first, strict=True) if not isinstance(done, LLMError)]
    assert len(answered) > 30
    server.stop()
    again = ask_all(llm, [r for r, _ in answered])
    for (_, done), replayed in zip(answered, again, strict=True):
        assert replace(replayed, usage=Usage()) == replace(done, usage=Usage())
        assert replayed.usage == replace(done.usage, retries=0, cache_hits=1)
    account = llm.meter.snapshot()
    assert account.total.cache_hits == len(answered)
    assert account.sent.tokens == sum(d.usage.tokens for _, d in answered) + sum(
        error.usage.tokens for error in first if isinstance(error, LLMError)
    )


def test_n_executors_and_n_samples_are_n_calls(serve, client, request_):
    server = serve(echo)
    llm = client(server, cache=True)
    ask_all(llm, [request_(sample_index=index) for index in range(6)])
    ask_all(llm, [request_(temperature=0.1 * step) for step in range(1, 6)])
    assert server.seen.calls == 11


def test_equal_requests_in_flight_are_one_call(serve, client, request_):
    server = serve(echo, latency=0.05)
    llm = client(server, cache=True)
    answers = ask_all(llm, [request_(problem_id=str(number)) for number in range(10)])
    assert server.seen.calls == 1
    assert len({done.text for done in answers}) == 1
    assert sorted(done.usage.cache_hits for done in answers) == [0] + [1] * 9


def test_when_the_first_of_equal_requests_fails_the_next_one_asks(serve, client, request_):
    server = serve(echo, script=["error_500"])
    llm = client(server, cache=True, max_retries=0)
    answers = ask_all(llm, [request_()] * 3, return_exceptions=True)
    assert isinstance(answers[0], LLMUnavailableError)
    assert [done.text for done in answers[1:]] == ["The answer is 11."] * 2
    assert server.seen.calls == 2


def test_the_cache_can_be_passed_over_by_a_run_and_by_a_call(serve, client, request_):
    server = serve(echo)
    kept, without = client(server, cache=True), client(server, cache=False)
    for llm, request, calls in [
        (kept, request_(bypass_cache=True), 1),
        (kept, request_(), 2),
        (kept, request_(), 2),
        (kept, request_(bypass_cache=True), 3),
        (without, request_(), 4),
        (without, request_(), 5),
        (kept, request_(), 5),
    ]:
        ask(llm, request)
        assert server.seen.calls == calls


def test_failures_are_not_kept(serve, client, request_):
    server = serve(echo, script=["empty", "empty"])
    llm = client(server, cache=True)
    with pytest.raises(LLMError):
        ask(llm, request_())
    assert ask(llm, request_()).usage.cache_hits == 0


def test_two_servers_and_two_models_never_share_an_answer(serve, client, request_):
    one = serve(lambda body: f"one {body['model']}", models=["a", "b"])
    other = serve(lambda body: f"other {body['model']}", models=["a", "b"])
    made = [client(server, model, cache=True) for server in (one, other) for model in ("a", "b")]
    assert [ask(llm, request_()).text for llm in made] == ["one a", "one b", "other a", "other b"]


# Account and budget --------------------------------------------------------------------------------------------------


def test_every_breakdown_adds_up_to_the_whole_and_to_what_the_server_saw(serve, client, request_):
    shares = {"error_503": 0.15, "empty": 0.15, "drop": 0.05}
    server = serve(echo, faults=shares, seed=1)
    llm = client(server, "test-model", cache=True, max_retries=3)
    requests = [
        request_(
            seed=number % 50,  # so that some are answered by the cache
            role=("strategy", "executor", "commitment")[number % 3],
            agent=f"executor_{number % 3}" if number % 3 == 1 else "",
            problem_id=f"p{number % 7}",
            round_index=number % 2,
        )
        for number in range(80)
    ]
    came = ask_all(llm, requests, return_exceptions=True)
    account = llm.meter.snapshot()
    failed = [error for error in came if isinstance(error, LLMError)]
    assert failed
    assert total(c.usage for c in came) == account.total
    for parts in (account.by_role, account.by_agent, account.by_problem, account.by_round, account.by_retried):
        assert total(parts.values()) == account.total
    assert account.total.calls == len(came) - len(failed)
    assert sum(account.failed.values()) == len(failed)
    assert account.total.cache_hits > 0
    assert server.seen.calls == account.total.retries + len(came) - account.total.cache_hits
    assert server.seen.faults["empty"] == account.faults["unusable"]
    assert server.seen.faults["drop"] == account.faults["connection"]
    assert server.seen.faults["error_503"] == account.faults["server_error"]


def test_prices_make_money_of_what_was_sent(serve, client, request_):
    llm = client(serve(echo), price_prompt=2.0, price_completion=6.0, cache=True)
    ask(llm, request_()), ask(llm, request_())
    sent = llm.meter.snapshot().sent
    assert llm.meter.snapshot().usd == pytest.approx((2 * sent.prompt_tokens + 6 * sent.completion_tokens) / 1e6)
    assert llm.meter.snapshot().total.tokens == 2 * sent.tokens


def test_a_budget_is_never_overrun_and_what_came_before_is_kept(serve, client, request_):
    server = serve(lambda body: "word " * 40, latency=0.005)
    llm = client(server, "test-model", budget_tokens=1500, concurrency=20)
    came = ask_all(llm, [request_(seed=seed) for seed in range(60)], return_exceptions=True)
    answered = [done for done in came if not isinstance(done, BaseException)]
    refused = [error for error in came if isinstance(error, BudgetError)]
    assert len(answered) + len(refused) == 60
    assert answered
    assert "the budget of 1500 tokens is used up" in str(refused[0])
    account = llm.meter.snapshot()
    assert account.sent.tokens == sum(done.usage.tokens for done in answered)
    assert 1500 - 64 - 60 < account.sent.tokens <= 1500
    assert server.seen.calls == len(answered)
    assert account.failed == {"budget": len(refused)}


def test_a_budget_in_money(serve, client, request_):
    server = serve(lambda body: "word " * 40)
    llm = client(server, "test-model", budget_usd=0.001, price_prompt=1.0, price_completion=10.0)
    came = ask_all(llm, [request_(seed=seed) for seed in range(9)], return_exceptions=True)
    assert 0 < llm.meter.snapshot().usd <= 0.001
    assert any("0.001 US dollars" in str(error) for error in came if isinstance(error, BudgetError))


def test_the_cache_costs_no_budget(serve, client, request_):
    server = serve(echo)
    ask(client(server, "test-model", cache=True), request_())
    poor = client(server, "test-model", cache=True, budget_tokens=1)
    assert ask(poor, request_()).usage.cache_hits == 1
    with pytest.raises(BudgetError):
        ask(poor, request_(seed=99))


def test_a_budget_at_a_server_that_counts_nothing_stops_the_run(answer, client, request_):
    silent = answer(200, json.dumps({"choices": [{"message": {"content": "4"}}]}))
    assert ask(client(silent, "m"), request_()).usage.tokens == 0
    with pytest.raises(BudgetError, match="does not say how many tokens"):
        ask(client(silent, "m", budget_tokens=10_000), request_())


# What is sent --------------------------------------------------------------------------------------------------------


def test_a_request_has_the_headers_that_the_openai_package_gives(answer, heads, client, request_, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-9")
    url = answer(200, json.dumps({"choices": [{"message": {"content": "4"}}]}))
    ask(client(url, "m"), request_())
    (head,) = heads
    first, *lines = head.decode().split("\r\n")
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["content-type"] == sent["accept"] == "application/json"
    assert sent["openai-organization"] == "org-9"
    assert "openai-project" not in sent
    assert sent["user-agent"].startswith("AsyncOpenAI/Python")


def test_headers_of_the_environment_take_the_place_of_others_however_they_are_written(
    answer, heads, client, request_, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(
        "OPENAI_CUSTOM_HEADERS", "authorization: Bearer other\ncontent-type: application/json; charset=utf-8"
    )
    ask(client(answer(200, json.dumps({"choices": [{"message": {"content": "4"}}]})), "m"), request_())
    lines = heads[0].decode().lower().split("\r\n")
    assert [line for line in lines if line.startswith("authorization")] == ["authorization: bearer other"]
    assert [line for line in lines if line.startswith("content-type")] == [
        "content-type: application/json; charset=utf-8"
    ]


def test_a_key_with_a_line_end_is_stripped(answer, heads, client, request_, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\r\n")
    ask(client(answer(200, json.dumps({"choices": [{"message": {"content": "4"}}]})), "m"), request_())
    assert f"authorization: bearer {KEY}\r\n".lower() in heads[0].decode().lower()


@pytest.mark.parametrize("key", ["\u201csk-1\u201d", "sk-1\r\nsk-2"])
def test_a_key_that_no_header_can_carry_is_one_clear_error(answer, client, request_, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    url = answer(200, "{}")
    with pytest.raises(LLMRequestError, match="the key in OPENAI_API_KEY holds characters") as caught:
        ask(client(url, "m"), request_())
    assert "sk-1" not in str(caught.value)


def test_a_proxy_of_the_environment_is_asked(serve, client, request_, monkeypatch):
    proxy = serve(echo)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))  # the one that wins, where both are set
    assert ask(client("http://far.invalid/v1", "test-model"), request_(seed=7)).text == "The answer is 7."
    assert proxy.seen.calls == 1


# Secrets -------------------------------------------------------------------------------------------------------------


def test_a_key_is_sent_and_shown_nowhere(serve, client, request_, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    right, wrong = serve(echo, key=KEY), serve(echo, key="another")
    with caplog.at_level(logging.DEBUG):
        llm = client(right, cache=True)
        ask(llm, request_())
        with pytest.raises(LLMRequestError, match="check the key in OPENAI_API_KEY") as caught:
            ask(client(wrong, "test-model", cache=True), request_())
    assert wrong.seen.calls == 1
    shown = [str(caught.value), repr(caught.value), repr(llm), repr(llm.info), repr(llm.config), caplog.text]
    shown += [repr(vars(llm)), repr(llm.meter.snapshot())]
    assert not any(KEY in text for text in shown)
    assert KEY.encode() not in pickle.dumps((llm, llm.config, llm.server, caught.value))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_without_a_key_the_error_says_where_to_put_one(serve, client, request_):
    with pytest.raises(LLMRequestError, match="put a key into OPENAI_API_KEY"):
        ask(client(serve(key=KEY), "test-model"), request_())


def test_a_login_in_the_url_is_sent_and_shown_nowhere(say, client, request_, caplog, tmp_path):
    body = json.dumps({"choices": [{"message": {"content": "4"}}], "usage": {"prompt_tokens": 3}})
    url = say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    with caplog.at_level(logging.DEBUG):
        llm = client(url.replace("://", "://robert:pw-geheim@"), "m", cache=True)
        assert ask(llm, request_()).text == "4"
    assert llm.info.where == url
    shown = repr((llm, llm.info, vars(llm), llm.config)) + caplog.text + str(pickle.dumps(llm))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in ("pw-geheim", "cm9iZXJ0OnB3LWdlaGVpbQ"):
        assert secret not in shown
        assert secret.encode() not in stored


def test_the_login_of_a_url_is_what_the_server_gets(serve, client, request_, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve(key="irrelevant")
    llm = client(server.url.replace("://", "://robert:pw-geheim@"), "test-model")
    with pytest.raises(LLMRequestError, match="check the user name and password in the URL") as caught:
        ask(llm, request_())  # the server answers with what it was sent
    assert "Basic ***" in str(caught.value)
    assert KEY not in str(caught.value)


# Processes -----------------------------------------------------------------------------------------------------------


def _child(llm, request, results):
    try:
        results.put(ask(llm, request).text)
    except BaseException as error:  # the parent has to be told, whatever it is
        results.put(repr(error))


@pytest.mark.parametrize("how", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_client_goes_on_in_another_process(serve, client, request_, how):
    server = serve(echo)
    llm = client(server, cache=True)
    ask(llm, request_(seed=1))
    context = multiprocessing.get_context(how)
    results = context.Queue()
    children = [context.Process(target=_child, args=(llm, request_(seed=seed), results)) for seed in (2, 3)]
    for child in children:
        child.start()
    texts = {results.get(timeout=60) for _ in children}
    for child in children:
        child.join(60)
    assert texts == {"The answer is 2.", "The answer is 3."}
    assert [child.exitcode for child in children] == [0, 0]
    assert ask(llm, request_(seed=2)).usage.cache_hits == 1
    assert ask(llm, request_(seed=4)).text == "The answer is 4."


PROGRAM = """
import asyncio, os, sys
from econ_env.llm import background
from econ_env.llm.make import make_llm
from econ_env.config import LLMConfig
from econ_env.llm.protocol import ChatRequest, Message

llm = make_llm(sys.argv[1], LLMConfig(cache_dir=sys.argv[2], timeout=30), model="test-model")
def request(seed):
    return ChatRequest((Message("user", "2 + 2"),), "", 0.5, 1.0, 0.9, 16, seed)
async def work():
    return await asyncio.gather(*(llm.complete(request(seed)) for seed in range(int(sys.argv[3]))))
print(len(asyncio.run(work())), flush=True)
"""


def run_program(server, folder, count, **changes):
    return subprocess.Popen(
        [sys.executable, "-W", "default::ResourceWarning", "-c", PROGRAM, server.url, str(folder), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **changes,
    )


def test_a_program_ends_quietly_without_closing_anything(serve, tmp_path):
    out, err = run_program(serve(echo), tmp_path, 5).communicate(timeout=60)
    assert out == "5\n"
    assert err == ""


def test_a_program_ends_while_calls_hang(serve, tmp_path):
    server = serve(faults={"hang": 1.0})
    program = PROGRAM.replace("print(len(asyncio.run(work())), flush=True)", "background.loop()\n")
    program += "asyncio.run_coroutine_threadsafe(work(), background.loop())\nimport time; time.sleep(0.5)\n"
    arguments = [sys.executable, "-c", program, server.url, str(tmp_path), "3"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.faults
def test_killing_writers_at_any_moment_leaves_a_cache_that_works(serve, tmp_path, request_):
    server = serve(echo, latency=0.002)
    for wait in (0.0, 0.1, 0.2, 0.4):
        workers = [run_program(server, tmp_path, 2000) for _ in range(2)]
        seen = server.seen.calls
        while server.seen.calls < seen + 20:
            assert all(worker.poll() is None for worker in workers)
            threading.Event().wait(0.02)
        threading.Event().wait(wait)
        for worker in workers:
            worker.kill()
            worker.communicate()
    llm = make_llm(server.url, LLMConfig(cache_dir=str(tmp_path), timeout=5.0), model="test-model")
    before = server.seen.calls
    same = [request_(messages=(replace(request_().messages[1], content="2 + 2"),), temperature=0.5,
                     repetition_penalty=1.0, max_tokens=16, seed=seed) for seed in range(2000)]  # fmt: skip
    answers = ask_all(llm, same)
    assert [done.text for done in answers] == [f"The answer is {seed}." for seed in range(2000)]
    hits = sum(done.usage.cache_hits for done in answers)
    assert hits > 20
    assert server.seen.calls - before == 2000 - hits
    assert not list(Path(tmp_path).parent.glob("*.damaged-*"))

"""Several servers with the same model: shares by weight, one that dies and comes back, and what all of them share."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from econ_env.errors import ConfigError, LLMRequestError, LLMUnavailableError
from econ_env.llm.http import health
from econ_env.llm.http.health import FAILURES_IN_A_ROW, FIRST_PAUSE, LONGEST_PAUSE, Health
from econ_env.llm.http.pool import server_pool
from econ_env.llm.meter import ServerCount
from econ_env.records import Usage


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr(health, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(health, "LONGEST_PAUSE", 0.1)


def echo(body):
    return f"The answer is {body['seed']}."


def spec(*servers):
    return ",".join(server if isinstance(server, str) else server.url for server in servers)


def ask(llm, request):
    return asyncio.run(llm.complete(request))


def ask_all(llm, requests):
    async def all_of_them():
        return await asyncio.gather(*(llm.complete(request) for request in requests))

    return asyncio.run(all_of_them())


def until(true):
    """Wait for what another thread does."""
    for _ in range(2000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it never came true")


# Shares --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 8, 100])
def test_servers_get_shares_by_weight(serve, client, request_, at_once):
    latency = 0.0 if at_once == 1 else 0.05  # one that answers faster than its weight says gets more
    one, three = serve(echo, latency=latency), serve(echo, latency=latency)
    llm = client(f"{one.url},{three.url}*3", "test-model", concurrency=4)
    for start in range(0, 200, at_once):
        answers = ask_all(llm, [request_(seed=seed) for seed in range(start, start + at_once)])
        assert [done.text for done in answers] == [f"The answer is {n}." for n in range(start, start + at_once)]
    assert one.seen.calls + three.seen.calls == 200
    assert one.seen.calls == pytest.approx(50, abs=1 if at_once == 1 else 10)
    assert one.seen.most_in_flight <= 4
    assert three.seen.most_in_flight <= 12


def test_a_slow_server_gets_less_than_its_share_where_another_is_free(serve, client, request_):
    slow, quick = serve(echo, latency=0.2), serve(echo, latency=0.002)
    llm = client(spec(slow, quick), "test-model", concurrency=4)
    ask_all(llm, [request_(seed=seed) for seed in range(100)])
    assert slow.seen.calls + quick.seen.calls == 100
    assert slow.seen.calls < 25


def test_calls_are_counted_by_server(serve, client, request_):
    one, three = serve(echo, script=["error_500"]), serve(echo)
    llm = client(f"{one.url},{three.url}*3", "test-model")
    for seed in range(8):
        ask(llm, request_(seed=seed))
    account = llm.meter.snapshot()
    assert account.by_server[one.url].faults == 1
    assert account.by_server[one.url].answers == one.seen.calls - 1
    assert account.by_server[three.url] == ServerCount(three.seen.calls, account.by_server[three.url].tokens, 0)
    assert sum(count.tokens for count in account.by_server.values()) == account.sent.tokens > 0
    assert account.total == Usage(8, account.sent.prompt_tokens, account.sent.completion_tokens, retries=1)


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_pauses")
def test_a_server_that_is_killed_loses_nothing_and_comes_back(serve, client, request_, caplog):
    killed, stays = serve(echo, latency=0.02), serve(echo, latency=0.02)
    llm = client(spec(killed, stays), "test-model", concurrency=8, max_retries=0)

    def kill():
        until(lambda: killed.seen.calls >= 20)
        killed.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level(logging.INFO):
        answers = ask_all(llm, [request_(seed=seed) for seed in range(200)])
        killer.join()
        assert [done.text for done in answers] == [f"The answer is {seed}." for seed in range(200)]
        assert {done.usage.calls for done in answers} == {1}
        account = llm.meter.snapshot()
        assert account.total.calls == 200
        assert account.failed == {}
        assert 1 <= account.by_server[killed.url].faults == account.faults["connection"] <= 16
        assert sum(count.answers for count in account.by_server.values()) == 200
        assert stays.seen.calls > 120
        assert f"{killed.url} is left out until it answers again: no connection" in caplog.text

        killed.start()
        before = killed.seen.calls

        def back():
            ask(llm, request_(seed=1000))
            return killed.seen.calls > before

        until(back)
        until(lambda: f"{killed.url} answers again" in caplog.text)
    before = killed.seen.calls, stays.seen.calls
    ask_all(llm, [request_(seed=seed) for seed in range(100)])
    assert killed.seen.calls - before[0] == pytest.approx(50, abs=10)


def test_a_call_that_fails_is_tried_at_another_server_at_once_and_at_all_before_it_waits(serve, client, request_):
    busy, fine = serve(echo, faults={"too_many_wait": 1.0}, retry_after="60"), serve(echo)
    llm = client(spec(busy, "http://127.0.0.1:9/v1", fine), "test-model", retry_after_max=60.0, max_retries=0)
    start = time.monotonic()
    for seed in range(12):
        assert ask(llm, request_(seed=seed)).text == f"The answer is {seed}."
    assert time.monotonic() - start < 30.0
    assert busy.seen.calls >= 3  # one that is busy is not dead
    account = llm.meter.snapshot()
    assert account.faults == {"rate_limited": busy.seen.calls, "connection": FAILURES_IN_A_ROW}


def test_if_all_are_dead_that_is_said_after_the_retries(client, request_):
    llm = client("http://127.0.0.1:9/v1,http://127.0.0.1:13/v1*2", "test-model", max_retries=6)
    with pytest.raises(LLMUnavailableError) as caught:
        ask(llm, request_())
    assert str(caught.value).startswith("none of 2 servers answers; last error: no connection to http://127.0.0.1:")
    assert str(caught.value).endswith("connection refused; is a server running there? (after 8 attempts)")


def test_if_all_were_dead_and_one_comes_back_within_the_retries_nothing_is_lost(serve, client, request_):
    one, two = serve(echo), serve(echo)
    llm = client(spec(one, two), "test-model", max_retries=50, retry_wait=0.02, retry_wait_max=0.05)
    one.stop(), two.stop()

    async def interrupted():
        calls = [asyncio.ensure_future(llm.complete(request_(seed=seed))) for seed in range(20)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(two.start)
        return await asyncio.gather(*calls)

    assert [done.text for done in asyncio.run(interrupted())] == [f"The answer is {seed}." for seed in range(20)]
    assert two.seen.calls == 20


def test_the_only_server_is_never_left_out(serve, client, request_):
    server = serve(echo, script=["error_500"] * 9)
    assert ask(client(server, "test-model", max_retries=9), request_()).usage.retries == 9
    assert server.seen.requests == {"/v1/chat/completions": 10}


def test_a_server_that_hangs_is_left_out_and_asked_with_one_call_when_it_says_that_it_is_back(
    serve, client, request_, monkeypatch
):
    monkeypatch.setattr(health, "FIRST_PAUSE", 0.01)
    hangs, fine = serve(echo, faults={"hang": 1.0}), serve(echo, latency=0.002)
    llm = client(spec(hangs, fine), "test-model", concurrency=4, timeout=0.3)
    assert len(ask_all(llm, [request_(seed=seed) for seed in range(60)])) == 60
    first = hangs.seen.calls
    assert first <= 4 + FAILURES_IN_A_ROW
    until(lambda: ask(llm, request_(seed=99)) and hangs.seen.requests["/v1/models"])
    assert len(ask_all(llm, [request_(seed=seed) for seed in range(60)])) == 60
    assert hangs.seen.calls - first <= 3  # it says so each time, and hangs again


def test_health_waits_longer_each_time(run_jumping):
    async def lived():
        health, dues = Health(), []
        now = asyncio.get_running_loop().time
        assert [health.fail() for _ in range(FAILURES_IN_A_ROW)] == [False, False, True]
        start = now()
        assert not health.fail()  # a call that was under way
        for _ in range(8):
            dues.append(health.due - now())
            health.state = "trial"
            assert health.fail()
        assert health.state == "out"
        assert now() - start < 0.1
        assert health.succeed()
        assert not health.succeed()
        assert not health.fail()
        return dues

    dues = run_jumping(lived())
    assert dues == pytest.approx([min(FIRST_PAUSE * 2.0**n, LONGEST_PAUSE) for n in range(8)], abs=0.01)


# What they share -----------------------------------------------------------------------------------------------------


def test_an_answer_in_the_cache_is_that_of_all_servers_and_others_may_join(serve, client, request_):
    one, two, three = serve(echo), serve(echo), serve(echo)
    requests = [request_(seed=seed) for seed in range(30)]
    before = ask_all(client(one, "test-model", cache=True), requests[:10])
    ask_all(client(spec(one, two), "test-model", cache=True), requests)
    assert (one.seen.calls + two.seen.calls, two.seen.calls > 5) == (30, True)
    answers = ask_all(client(f"{one.url}*2,{three.url}", "test-model", cache=True), requests)
    assert three.seen.calls == 0
    assert {done.usage.cache_hits for done in answers} == {1}
    assert [done.text for done in answers[:10]] == [done.text for done in before]


def test_servers_that_share_calls_must_have_the_same_model(serve, client, request_):
    one, two = serve(echo, models=["a"]), serve(echo, models=["b"])
    llm = client(spec(one, two))
    with pytest.raises(LLMRequestError, match=r"has no model 'a', only b; all servers in a pool need the same model"):
        ask(llm, request_()), ask(llm, request_())
    assert two.seen.calls == 0


def test_each_server_is_asked_for_its_models_once(serve, client, request_):
    servers = [serve(echo, latency=0.01) for _ in range(3)]
    ask_all(client(spec(*servers)), [request_(seed=seed) for seed in range(60)])
    assert sum(server.seen.calls for server in servers) == 60
    assert all(1 <= server.seen.requests["/v1/models"] <= 2 for server in servers)


def test_what_one_server_refuses_another_gets(serve, client, request_):
    old, new = serve(echo, refuses=["seed"], models=["m"]), serve(echo, models=["m"])
    llm = client(spec(old, new), "m")
    for seed in range(6):
        ask(llm, request_(seed=seed))
    assert all("seed" in body for body in new.seen.bodies)
    assert [("seed" in body) for body in old.seen.bodies] == [True, False, False, False]


def test_logins_of_all_urls_are_shown_nowhere(serve, client, request_, caplog):
    urls = [serve(echo).url.replace("://", f"://robert:pw{number},geheim*9@") for number in range(2)]
    with caplog.at_level(logging.DEBUG):
        llm = client(f"{urls[0]}*2,{urls[1]}", "test-model")
        ask(llm, request_()), ask(llm, request_())
    shown = repr((llm, llm.info, vars(llm), llm.meter.snapshot())) + caplog.text
    assert "geheim" not in shown
    assert "robert" not in shown
    assert llm.info.where.endswith("/v1")
    assert "/v1*2, http://127.0.0.1:" in llm.info.where


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("http://a/v1,http://a", "the server http://a/v1 is listed twice"),
        ("http://a/v1,http://b/v1*0", "the server http://b/v1 has weight 0"),
        ("http://a/v1,ftp://b/v1", "ftp://b/v1"),
        ("together,http://a/v1", "is not the URL"),
        ("http://a/v1,together", "write several as"),
        ("http://a/v1*three", "write several as"),
    ],
)
def test_a_list_that_can_not_be_meant_is_refused(client, given, message):
    with pytest.raises(ConfigError, match=message.replace("*", r"\*")):
        client(given)


def test_slots_go_by_weight(client):
    llm = client("http://a/v1*0.5,http://b/v1*2,http://c/v1*0.01", concurrency=10)
    assert [connection.slots for connection in server_pool(llm.server, llm.config).connections] == [5, 20, 1]

"""The client against a server that fails on purpose: what heals, what does not, and how it is told."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from econ_env.errors import LLMContextError, LLMLimitedError, LLMReplyError, LLMRequestError, LLMUnavailableError

HEALED = {
    "too_many": "rate_limited",
    "too_many_wait": "rate_limited",
    "error_500": "server_error",
    "error_503": "server_error",
    "error_in_200": "rate_limited",
    "finish_error": "server_error",
    "drop": "connection",
    "hang": "timeout",
    "drip": "timeout",
}
"""Faults after which the same request is sent again, and how they are counted."""

REPAIRED = ("html", "empty", "null", "broken_json", "cut_text")
"""Faults after which the model is asked once more."""


def ask(llm, request):
    return asyncio.run(llm.complete(request))


@pytest.mark.parametrize(("fault", "reason"), HEALED.items())
def test_a_failure_that_can_heal_is_tried_again(serve, client, request_, fault, reason):
    server = serve(script=[fault, fault])
    llm = client(server, "test-model", timeout=0.4 if reason == "timeout" else 5.0)
    done = ask(llm, request_())
    assert done.text == "I add what is given. The answer is 4."
    assert (done.usage.calls, done.usage.retries) == (1, 2)
    assert server.seen.calls == 3
    assert dict(server.seen.faults) == {fault: 2}
    account = llm.meter.snapshot()
    assert account.faults == {reason: 2}
    assert account.failed == {}
    assert account.by_retried == {True: account.total}
    assert len({str(body) for body in server.seen.bodies}) == 1


@pytest.mark.parametrize(("fault", "reason"), HEALED.items())
def test_a_failure_that_does_not_heal_is_an_error_after_the_retries(serve, client, request_, fault, reason):
    server = serve(faults={fault: 1.0})
    llm = client(server, "test-model", max_retries=2, timeout=0.3 if reason == "timeout" else 5.0)
    with pytest.raises(LLMUnavailableError, match=r"\(after 3 attempts\)") as caught:
        ask(llm, request_())
    assert server.seen.calls == 3
    assert caught.value.usage.retries == 2
    assert caught.value.usage.calls == 0
    account = llm.meter.snapshot()
    assert account.failed == {reason: 1}
    assert account.faults == {reason: 3}
    assert account.total == caught.value.usage


@pytest.mark.parametrize("fault", REPAIRED)
def test_an_answer_that_can_not_be_used_is_asked_for_once_more(serve, client, request_, fault):
    server = serve(lambda body: '{"reasoning": "2 + 2", "answer": "4"}', script=[fault])
    done = ask(client(server), request_(require_json=True))
    assert done.text == '{"reasoning": "2 + 2", "answer": "4"}'
    assert (done.usage.calls, done.usage.retries) == (1, 1)
    assert server.seen.calls == 2


@pytest.mark.parametrize("fault", REPAIRED)
def test_twice_an_answer_that_can_not_be_used_is_an_error_and_never_a_value(serve, client, request_, fault):
    server = serve(lambda body: '{"reasoning": "2 + 2", "answer": "4"}', faults={fault: 1.0})
    llm = client(server)
    with pytest.raises(LLMReplyError, match="also when asked again") as caught:
        ask(llm, request_(require_json=True))
    assert server.seen.calls == 2
    account = llm.meter.snapshot()
    assert account.failed == {"unusable": 1}
    assert account.total == caught.value.usage
    assert account.total.calls == 0
    paid = fault in ("empty", "null", "cut_text")
    assert (account.sent.prompt_tokens > 0) is paid
    assert account.total.tokens == account.sent.tokens


def test_another_seed_is_sent_when_the_model_wrote_nothing_and_the_same_when_its_envelope_broke(
    serve, client, request_
):
    for fault, seeds in (("empty", 2), ("html", 1)):
        server = serve(script=[fault])
        ask(client(server), request_())
        assert len({body["seed"] for body in server.seen.bodies}) == seeds


def test_a_server_that_is_not_there(client, request_, settings):
    llm = client("http://127.0.0.1:9/v1", max_retries=1)
    with pytest.raises(
        LLMUnavailableError, match=r"connection refused; is a server running there\? \(after 2 attempts\)"
    ):
        ask(llm, request_())
    assert llm.meter.snapshot().failed == {"connection": 1}


def test_a_server_that_comes_back(serve, client, request_):
    server = serve(latency=0.02)
    llm = client(server, max_retries=50, retry_wait=0.02, retry_wait_max=0.05)

    async def interrupted():
        calls = [asyncio.ensure_future(llm.complete(request_(sample_index=index))) for index in range(40)]
        await asyncio.sleep(0.03)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
        return await asyncio.gather(*calls)

    answers = asyncio.run(interrupted())
    assert len(answers) == 40
    assert {done.usage.calls for done in answers} == {1}
    assert llm.meter.snapshot().total.calls == 40


def test_an_idle_connection_that_the_server_closed_is_no_failure(serve, client, request_):
    server = serve()
    llm = client(server)
    ask(llm, request_())
    server.stop()
    server.start()
    assert ask(llm, request_(seed=2)).text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"this is no HTTP at all\r\n\r\n", "no connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "no connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", "no connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n", "no connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no connection"),
        (b"", "no connection"),
    ],
)
def test_what_is_no_http_is_a_failed_connection(say, client, request_, said, why):
    llm = client(say(said), "m", max_retries=1)
    with pytest.raises(LLMUnavailableError, match=why):
        ask(llm, request_())
    assert llm.meter.snapshot().failed == {"connection": 1}


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 410, 422])
def test_what_can_not_heal_fails_at_once(answer, client, request_, status):
    llm = client(answer(status, '{"error": {"message": "no"}}'), "m")
    with pytest.raises(LLMRequestError, match=f"answered {status}: no"):
        ask(llm, request_())
    account = llm.meter.snapshot()
    assert account.failed == {"refused": 1}
    assert account.total.retries == 0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_can_heal_is_tried_again_whatever_its_status(answer, client, request_, status):
    llm = client(answer(status, "<html>busy</html>"), "m", max_retries=3)
    with pytest.raises(LLMUnavailableError, match=f"answered {status}: an HTML page"):
        ask(llm, request_())
    assert llm.meter.snapshot().total.retries == 3


def test_a_redirect_in_a_circle_ends(answer, client, request_):
    llm = client(answer(307, headers="Location: /v1/chat/completions\r\n"), "m", max_retries=0)
    with pytest.raises(LLMUnavailableError, match="no connection"):
        ask(llm, request_())


def test_an_unknown_model_fails_at_once_and_is_named(serve, client, request_):
    server = serve()
    with pytest.raises(LLMRequestError, match="the server has no model 'gpt-9'"):
        ask(client(server, "gpt-9"), request_())
    assert server.seen.calls == 1


def test_messages_that_are_too_long_fail_at_once_and_only_they(serve, client, request_):
    server = serve(context=20)
    llm = client(server)
    long = request_(messages=request_().messages * 5)
    with pytest.raises(LLMContextError, match="shorten the messages"):
        ask(llm, long)
    assert server.seen.calls == 1
    assert ask(llm, request_()).text
    assert llm.meter.snapshot().failed == {"context": 1}


@pytest.mark.parametrize(
    ("field", "effect"),
    [("seed", "answers are not repeatable"), ("repeat_penalty", ""), ("response_format", "only prompts ask for JSON")],
)
def test_a_field_the_server_refuses_is_left_out_from_then_on(serve, client, request_, caplog, field, effect):
    server = serve(refuses=[field])
    llm = client(server)
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            assert ask(llm, request_(seed=seed, json_schema={"type": "object"})).text
    assert server.seen.calls == 4
    assert [field in body for body in server.seen.bodies] == [True, False, False, False]
    warned = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(warned) == 1
    assert effect in warned[0]
    assert llm.info.json_mode is (field != "response_format")


def test_a_penalty_that_no_name_gets_through_is_said_to_have_no_effect(serve, client, request_, caplog):
    server = serve(refuses=["repetition_penalty", "repeat_penalty"])
    with caplog.at_level(logging.WARNING):
        ask(client(server), request_())
    assert "THE REPETITION PENALTY HAS NO EFFECT there" in caplog.text
    assert caplog.text.count("left out") == 2


@pytest.mark.parametrize(("asked", "header"), [("0.2", "Retry-After"), ("200", "retry-after-ms")])
@pytest.mark.parametrize("prefix", ["", "llm_provider-"])
def test_retry_after_is_honoured(serve, client, request_, asked, header, prefix):
    server = serve(script=["too_many_wait"], retry_after=asked, retry_header=prefix + header)
    start = time.monotonic()
    done = ask(client(server, retry_after_max=5.0), request_())
    assert time.monotonic() - start >= 0.2
    assert done.usage.retries == 1


def test_a_long_wait_that_the_call_has_time_for_is_shortened(serve, client, request_, caplog):
    server = serve(script=["too_many_wait"], retry_after="200")
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        done = ask(client(server, retry_after_max=0.15, round_timeout=300.0), request_())
    assert time.monotonic() - start >= 0.15
    assert done.usage.retries == 1
    assert "limits calls: it asks to wait 3 min, until " in caplog.text


def test_a_wait_of_an_hour_is_said_at_once_and_ends_the_run(serve, client, request_, caplog):
    server = serve(faults={"too_many_wait": 1.0}, retry_after="3600")
    llm = client(server, round_timeout=300.0)

    async def many():
        calls = (llm.complete(request_(sample_index=index)) for index in range(8))
        return await asyncio.gather(*calls, return_exceptions=True)

    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        failed = asyncio.run(many())
    assert time.monotonic() - start < 5.0
    assert {type(error) for error in failed} == {LLMLimitedError}
    assert "asks to wait 60 min" in str(failed[0])
    assert "start again after " in str(failed[0])
    assert caplog.text.count("limits calls") == 1
    assert llm.meter.snapshot().failed == {"rate_limited": 8}


def test_a_server_that_limits_for_an_hour_does_not_stop_the_others(serve, client, request_):
    limited, other = serve(faults={"too_many_wait": 1.0}, retry_after="3600"), serve()
    llm = client(f"{limited.url},{other.url}", "test-model", round_timeout=300.0)
    for index in range(6):
        assert ask(llm, request_(sample_index=index)).text
    assert limited.seen.calls == 1  # it rests for the hour


def refusing(message, *, when):
    """A reply of a server that refuses requests with a message."""

    def reply(body):
        if when(body):
            raise LLMRequestError(message)
        return "The answer is 4."

    return reply


@pytest.mark.parametrize(
    ("message", "field", "effect"),
    [
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature", "TEMPERATURE HAS NO"),
        ("Unsupported parameter: 'top_p' is not supported with this model.", "top_p", "top_p has no effect"),
        ("invalid temperature: only 1 is allowed for this model", "temperature", "TEMPERATURE HAS NO EFFECT"),
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_completion_tokens is sent in its place",
        ),
    ],
)
def test_a_standard_field_that_a_model_refuses(serve, client, request_, caplog, message, field, effect):
    server = serve(refusing(message, when=lambda body: body["model"] == "o" and field in body), models=["m", "o"])
    llm, other = client(server, "o"), client(server, "m")
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            assert ask(llm, request_(seed=seed)).text
        assert ask(other, request_()).text
    assert [field in body for body in server.seen.bodies] == [True, False, False, False, True]
    assert all("max_tokens" in body or "max_completion_tokens" in body for body in server.seen.bodies)
    assert caplog.text.count(effect) == 1


def test_a_server_that_does_not_say_what_it_refuses(serve, client, request_, caplog):
    server = serve(refusing("Bad request", when=lambda body: "top_k" in body))
    llm = client(server)
    with caplog.at_level(logging.WARNING):
        assert ask(llm, request_()).text
        assert ask(llm, request_(seed=5)).text
    assert server.seen.calls == 3
    assert {"repetition_penalty", "min_p", "samplers"}.isdisjoint(server.seen.bodies[-1])
    assert caplog.text.count("left out from now on") == 1


def test_a_request_that_is_bad_for_another_reason_teaches_nothing(serve, client, request_, caplog):
    server = serve(refusing("Bad request", when=lambda body: body["seed"] == 11))
    llm = client(server)
    with caplog.at_level(logging.WARNING):
        with pytest.raises(LLMRequestError, match="Bad request"):
            ask(llm, request_(seed=11))
        assert ask(llm, request_(seed=12)).text
    assert "top_k" in server.seen.bodies[-1]
    assert "left out" not in caplog.text


def test_a_temperature_out_of_range_ends_the_run_with_what_to_change(serve, client, request_):
    server = serve(refusing("temperature must be at most 1", when=lambda body: body["temperature"] > 1))
    llm = client(server)
    assert ask(llm, request_()).text
    with pytest.raises(LLMRequestError, match=r"temperature 1\.5: change sampling.temperature_min or"):
        ask(llm, request_(temperature=1.5))
    assert ask(llm, request_(temperature=0.9)).text
    assert all("temperature" in body for body in server.seen.bodies)


@pytest.mark.parametrize("absurd", ["-7", "never", "nan", "inf", ""])
def test_an_absurd_retry_after_does_not_matter(serve, client, request_, absurd):
    server = serve(script=["too_many_wait"], retry_after=absurd)
    assert ask(client(server, retry_after_max=1000.0), request_()).usage.retries == 1


def test_a_call_that_hangs_again_and_again_ends_at_its_deadline(serve, client, request_):
    server = serve(faults={"hang": 1.0})
    llm = client(server, "test-model", timeout=0.1, max_retries=50, round_timeout=0.35)
    with pytest.raises(LLMUnavailableError, match=r"no usable answer within 0\.35 s") as caught:
        ask(llm, request_())
    assert 1 <= server.seen.calls <= 4
    assert caught.value.usage.retries == server.seen.calls - 1
    assert llm.meter.snapshot().failed == {"timeout": 1}


def test_the_deadline_does_not_count_the_wait_for_a_turn(serve, client, request_):
    server = serve(latency=0.08)
    llm = client(server, concurrency=1, round_timeout=0.6)

    async def many():
        return await asyncio.gather(*(llm.complete(request_(sample_index=index)) for index in range(12)))

    assert len(asyncio.run(many())) == 12
    assert llm.meter.snapshot().failed == {}


def test_a_hung_call_is_hung_up_on(serve, client, request_):
    server = serve(faults={"hang": 1.0})
    llm = client(server, "test-model", timeout=0.1, max_retries=0)
    with pytest.raises(LLMUnavailableError, match=r"no answer from .* within 0\.1 s"):
        ask(llm, request_())
    for _ in range(200):
        if server.seen.in_flight == 0:
            break
        time.sleep(0.01)
    assert server.seen.in_flight == 0


def test_a_cancelled_call_ends_frees_its_slot_and_is_counted(serve, client, request_):
    server = serve(script=["hang"])
    llm = client(server, concurrency=1, timeout=60.0)

    async def cancel_one():
        hung = asyncio.ensure_future(llm.complete(request_()))
        while server.seen.calls == 0:
            await asyncio.sleep(0.005)
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung
        return await llm.complete(request_(seed=5))

    assert asyncio.run(cancel_one()).text
    assert llm.meter.snapshot().failed == {"cancelled": 1}


def test_calls_cancelled_while_they_wait_for_their_turn_take_no_slot_with_them(serve, client, request_):
    server = serve(latency=0.05)
    llm = client(server, "test-model", concurrency=2)

    async def some_cancelled():
        calls = [asyncio.ensure_future(llm.complete(request_(seed=seed))) for seed in range(12)]
        while server.seen.calls < 2:
            await asyncio.sleep(0.005)
        for call in calls[3::2]:
            call.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    async def four_more():
        await asyncio.gather(*(llm.complete(request_(seed=seed)) for seed in range(20, 24)))

    came = asyncio.run(some_cancelled())
    assert [isinstance(one, asyncio.CancelledError) for one in came] == [n in range(3, 12, 2) for n in range(12)]
    assert server.seen.calls == 7  # the others were never sent
    server.seen.most_in_flight = 0
    asyncio.run(four_more())
    assert (server.seen.calls, server.seen.most_in_flight) == (11, 2)

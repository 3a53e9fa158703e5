"""What a failure means: which heal, which do not, and how long to wait."""

import email.utils
import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.errors import LLMContextError, LLMReplyError, LLMRequestError
from econ_env.llm.http.failures import (
    TransientError,
    connection_failure,
    hidden_failure,
    status_failure,
)
from econ_env.llm.http.fields import RefusedFieldError
from econ_env.llm.http.waits import retry_after

SENT = {"model": "m-1", "seed": 1, "repetition_penalty": 1.1, "response_format": {}}


def meaning(status, said="", headers=None, sent=SENT):
    text = json.dumps({"error": {"message": said}})
    return status_failure(status, text, headers or {}, url="http://h/v1", key_advice="check the key", sent=sent)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529])
def test_these_heal(status):
    error = meaning(status, "try later")
    assert isinstance(error, TransientError)
    assert error.reason == ("rate_limited" if status == 429 else "server_error")


@pytest.mark.parametrize("status", [304, 400, 401, 402, 403, 404, 405, 410, 418, 422, 451])
def test_these_never_heal(status):
    error = meaning(status, "no", sent={"model": "m-1", "temperature": 1.0})
    assert type(error) is LLMRequestError
    assert f"http://h/v1 answered {status}: no" in str(error)


@pytest.mark.parametrize(
    ("status", "said", "kind", "hint"),
    [
        (401, "Incorrect API key provided", LLMRequestError, "check the key"),
        (402, "Payment required", LLMRequestError, "no credit left"),
        (429, "You exceeded your current quota, please check your plan", LLMRequestError, "no credit left"),
        (404, "The model `m-1` does not exist", LLMRequestError, "the server has no model 'm-1'"),
        (400, "Unable to access model m-1", LLMRequestError, "the server has no model 'm-1'"),
        (404, "Not Found", LLMRequestError, "ends in /v1"),
        (400, "This model's maximum context length is 4096 tokens", LLMContextError, "shorten"),
        (500, "the request exceeds the available context size", LLMContextError, "shorten"),
        (413, "", LLMContextError, "shorten"),
        (400, "The response was filtered due to content management policy", LLMReplyError, "filter"),
    ],
)
def test_what_is_said_besides_the_status(status, said, kind, hint):
    error = meaning(status, said)
    assert type(error) is kind
    assert hint in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "Too many tokens, please wait before trying again.",
        "Rate limit reached for m-1 on tokens per min. Add a payment method at https://host/account/billing.",
        "You have used your credits for this minute",
    ],
)
def test_a_rate_limit_is_not_taken_for_something_that_never_heals(said):
    assert isinstance(meaning(429, said), TransientError)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("Unrecognized request argument supplied: repetition_penalty", "repetition_penalty"),
        ("'seed' is not supported", "seed"),
        ("This model does not support structured outputs", "response_format"),
    ],
)
def test_a_field_the_server_does_not_take(said, field):
    error = meaning(400, said)
    assert isinstance(error, RefusedFieldError)
    assert error.fields == {field}
    assert not error.guessed


@pytest.mark.parametrize("status", [400, 422])
def test_without_a_reason_the_fields_that_not_all_servers_know_are_suspected(status):
    error = meaning(status, "Bad Request")
    assert isinstance(error, RefusedFieldError)
    assert error.fields == {"repetition_penalty"}
    assert error.guessed


@pytest.mark.parametrize(
    ("field", "value", "said", "kind", "hint"),
    [
        ("temperature", 1.7, "temperature must be at most 1", LLMRequestError, "sampling.temperature_max"),
        ("repetition_penalty", 3.0, "repetition_penalty must be in [1, 2]", LLMRequestError, "sampling.p_max"),
        ("max_tokens", 9999, "max_tokens is too large: at most 4096", LLMContextError, "llm.thinking_tokens"),
    ],
)
def test_a_value_out_of_range_says_what_to_change(field, value, said, kind, hint):
    error = meaning(422, said, sent={"model": "m-1", field: value})
    assert type(error) is kind
    assert hint in str(error)


@pytest.mark.parametrize(
    ("payload", "status", "said"),
    [
        ({"error": {"message": "slow down", "code": 429}}, 429, "slow down"),
        ({"error": {"message": "slow down", "code": "429"}}, 429, "slow down"),
        ({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, 429, "Rate limit"),
        ({"error": "something broke"}, 502, "something broke"),
        ({"object": "error", "message": "prompt too long", "code": 50001}, 502, "prompt too long"),
        ({"choices": [{"finish_reason": "error", "message": {"content": "I ad"}}]}, 502, "ended its answer"),
        (
            {"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "no provider"}}]},
            503,
            "no provider",
        ),
    ],
)
def test_an_error_in_a_success_is_an_error(payload, status, said):
    code, text = hidden_failure(json.dumps(payload).encode())
    assert code == status
    assert said in text


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": [{"finish_reason": "stop", "message": {"content": 'The "error" is 4.'}}]},
        {"error": None, "choices": [{"finish_reason": "stop", "message": {"content": "4"}}]},
        ["error"],
        "error",
    ],
)
def test_an_answer_about_errors_is_an_answer(payload):
    assert hidden_failure(json.dumps(payload).encode()) is None
    assert hidden_failure(json.dumps(payload).encode()[:-1]) is None


def test_a_field_that_was_not_sent_is_not_what_was_refused():
    assert type(meaning(400, "'seed' is not supported", sent={"model": "m"})) is LLMRequestError


@pytest.mark.parametrize(
    "text", ["", "plain words", "<html><body>502</body></html>", "[1, 2]", '{"error": "words"}', "[" * 20_000, "\ud800"]
)
def test_any_body_makes_one_short_line(text):
    error = status_failure(500, text, {}, url="http://h/v1", key_advice="", sent={})
    assert "\n" not in str(error)
    assert len(str(error)) < 300
    str(error).encode()


def test_an_echoed_key_is_blotted_out(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-geheim-123")
    assert "geheim" not in str(meaning(401, "Incorrect API key provided: sk-geheim-123"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0.25", 0.25), ("0", 0.0), ("-5", 0.0), ("1e7", 1e7)]
    + [(bad, None) for bad in ("soon", "", "nan", "inf", "1e999", "1e9", "12:30", "Wed, 99 Foo 2020 99:99:99 GMT")],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_as_a_date():
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"retry-after": soon}) <= 30
    assert retry_after({"retry-after": email.utils.formatdate(time.time() - 900, usegmt=True)}) == 0.0
    assert retry_after({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After-Ms": "250"}, 0.25),
        ({"retry-after": "1", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "2", "retry-after-ms": "soon"}, 2.0),
        ({"llm_provider-retry-after": "7"}, 7.0),
        ({"llm_provider-retry-after": "7", "Retry-After": "3"}, 3.0),
        ({"llm_provider-retry-after-ms": "70"}, 0.07),
        ({"x-should-retry": "true"}, None),
    ],
)
def test_other_names_of_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_date_without_a_zone_is_universal_time(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # fourteen hours ahead
    time.tzset()
    try:
        soon = time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime(time.time() + 30))
        assert 25 < retry_after({"retry-after": soon}) <= 30
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.one_of(st.text(max_size=30), st.floats().map(str), st.datetimes().map(lambda d: d.strftime("%c GMT"))))
def test_retry_after_is_never_negative_nor_endless(value):
    seconds = retry_after({"retry-after": value})
    assert seconds is None or (seconds >= 0.0 and math.isfinite(seconds))


def test_the_reason_of_a_lost_connection_is_told():
    inner = ConnectionRefusedError(111, "Connection refused")
    outer = RuntimeError("connection error")
    outer.__cause__ = inner
    error = connection_failure(outer, "http://h/v1")
    assert error.reason == "connection"
    assert "connection refused; is a server running there?" in str(error)

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
    RefusedFieldError,
    TransientError,
    connection_failure,
    retry_after,
    status_failure,
)

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
    error = meaning(status, "no")
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
    assert error.field == field


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
    [("3", 3.0), ("0.25", 0.25), ("0", 0.0), ("-5", 0.0), ("1e9", 1e9)]
    + [(bad, None) for bad in ("soon", "", "nan", "inf", "1e999", "12:30", "Wed, 99 Foo 2020 99:99:99 GMT")],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_as_a_date():
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"retry-after": soon}) <= 30
    assert retry_after({"retry-after": email.utils.formatdate(time.time() - 900, usegmt=True)}) == 0.0
    assert retry_after({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) > 1e9
    assert retry_after({}) is None


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

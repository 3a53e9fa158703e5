"""Which fields a server refuses, read from what servers say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.llm.http.fields import NON_STANDARD, OPTIONAL_FIELDS
from econ_env.llm.http.refusals import read_refusal

SENT = {
    "model": "m",
    "messages": [],
    "temperature": 1.7,
    "top_p": 0.9,
    "max_tokens": 256,
    "seed": 1,
    "repetition_penalty": 1.1,
    "repeat_penalty": 1.1,
    "top_k": -1,
    "min_p": 0.0,
    "samplers": ["temperature"],
    "repeat_last_n": 64,
    "response_format": {},
}


def openai(message, param=None, code=None):
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def pydantic(field, message, kind):
    return {"detail": [{"type": kind, "loc": ["body", field], "msg": message, "input": SENT}]}


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (
            openai(
                "Unsupported value: 'temperature' does not support 1.7 with this model. Only the default (1) value is "
                "supported.",
                "temperature",
                "unsupported_value",
            ),
            {"temperature"},
        ),
        (openai("Unsupported parameter: 'top_p' is not supported with this model.", "top_p"), {"top_p"}),
        (
            openai(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                "instead.",
                "max_tokens",
            ),
            {"max_tokens"},
        ),
        (openai("max_tokens is deprecated: use max_completion_tokens (at most 4096)"), {"max_tokens"}),
        (openai("Unrecognized request arguments supplied: repeat_penalty, samplers"), {"repeat_penalty", "samplers"}),
        (openai("`temperature` and `top_p` cannot both be specified for this model."), {"top_p"}),
        (pydantic("repeat_last_n", "Extra inputs are not permitted", "extra_forbidden"), {"repeat_last_n"}),
        (
            {"object": "error", "message": pydantic("min_p", "Extra inputs are not permitted", "extra_forbidden")},
            {"min_p"},
        ),
        (
            [{"error": {"code": 400, "message": 'Unknown name "top_k": Cannot find field.\nUnknown name "seed"'}}],
            {"top_k", "seed"},
        ),
        (
            openai(json.dumps(openai("Unknown parameter: 'repetition_penalty'."))),
            {"repetition_penalty"},
        ),
        ({"detail": "Unexpected keys in the request: {'repetition_penalty'}"}, {"repetition_penalty"}),
        (openai("This model does not support structured outputs"), {"response_format"}),
    ],
)
def test_fields_that_are_refused(said, fields):
    refusal = read_refusal(json.dumps(said), SENT)
    assert refusal == (fields, frozenset(), None)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (pydantic("temperature", "Input should be less than or equal to 1.5", "less_than_equal"), "temperature"),
        (openai("temperature must be in [0, 1], got 1.7"), "temperature"),
        (openai("Invalid 'temperature': expected a value <= 1, but got 1.7", "temperature"), "temperature"),
        (openai("Unsupported value for temperature: at most 1 is allowed"), "temperature"),
        (openai("`top_p` must be > 0.0 and < 1.0"), "top_p"),
        (openai("repetition_penalty must be between 0 and 1"), "repetition_penalty"),
        (openai("top_k must be at least 1"), "top_k"),
        (openai("max_tokens is too large: 256. This model supports at most 128 completion tokens"), "max_tokens"),
    ],
)
def test_a_value_that_is_refused_is_not_a_refused_field(said, field):
    assert read_refusal(json.dumps(said), SENT) == (frozenset(), frozenset(), field)


@pytest.mark.parametrize(
    ("said", "guessed"),
    [
        (openai("invalid temperature: only 1 is allowed for this model"), {"temperature"}),
        (openai("temperature may only be set to 1 when thinking is enabled"), {"temperature"}),
        (openai("Bad request"), set(NON_STANDARD)),
        ("Bad Request", set(NON_STANDARD)),
        ("", set(NON_STANDARD)),
    ],
)
def test_what_only_a_request_without_them_shows(said, guessed):
    text = said if isinstance(said, str) else json.dumps(said)
    assert read_refusal(text, SENT) == (frozenset(), guessed, None)


def test_the_echoed_request_names_no_field():
    said = {"detail": [{"type": "missing", "loc": ["body", "tools"], "msg": "Field required", "input": SENT}]}
    assert read_refusal(json.dumps(said), SENT).fields == frozenset()


@given(st.text(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_text_names_only_what_was_sent(text):
    sent = {"model": "m", "temperature": 1.0, "seed": 2}
    refusal = read_refusal(text, sent)
    assert (refusal.fields | refusal.guessed) <= set(OPTIONAL_FIELDS) & sent.keys()

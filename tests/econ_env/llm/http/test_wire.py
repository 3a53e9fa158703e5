"""Requests as bodies, and bodies as completions or as nothing that can be used."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.llm.http.fields import PENALTY_FIELDS, SAMPLER_FIELDS
from econ_env.llm.http.wire import (
    UnusableError,
    most_prompt_tokens,
    read_answer,
    read_models,
    request_body,
)
from econ_env.llm.protocol import ChatRequest, Completion, Message
from econ_env.records import Usage

REQUEST = ChatRequest((Message("user", "What is 2 + 2?"),), "", 0.5, 1.2, 0.9, 32, 7)
JSON = replace(REQUEST, require_json=True)


def body(request=REQUEST, refused=(), fields=PENALTY_FIELDS):
    return request_body(request, model="m", seed=9, penalty_fields=fields, refused=refused)


def raw(content="The answer is 4.", finish="stop", **changes):
    payload = {
        "model": "m-served",
        "choices": [{"message": {"content": content}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    }
    return json.dumps(payload | changes).encode()


def test_a_request_says_everything_that_decides_its_outcome():
    schema = {"type": "object"}
    assert body(replace(REQUEST, json_schema=schema)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 32,
        "seed": 9,
        "repetition_penalty": 1.2,
        "repeat_penalty": 1.2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": schema},
        },
    }


def test_samplers_of_a_server_are_turned_off_but_for_min_p():
    sent = request_body(
        replace(REQUEST, min_p=0.1), model="m", seed=9, penalty_fields=(), sampler_fields=(*SAMPLER_FIELDS, "min_p")
    )
    assert (sent["top_k"], sent["min_p"]) == (-1, 0.1)
    assert sent["samplers"].index("temperature") < sent["samplers"].index("top_p")
    assert sent["repeat_last_n"] > 100_000
    assert "repeat_penalty" not in sent


def test_a_refused_length_is_sent_under_its_other_name():
    sent = body(refused=("max_tokens",))
    assert sent["max_completion_tokens"] == 32
    assert "max_tokens" not in sent


def test_fields_of_a_users_own_come_last():
    sent = request_body(REQUEST, model="m", seed=9, penalty_fields=(), sampler_fields=("top_k",), extra={"top_k": 5})
    assert sent["top_k"] == 5


def test_refused_fields_are_left_out_and_labels_are_never_sent():
    assert set(body(refused=("seed", "repeat_penalty"))) == set(body()) - {"seed", "repeat_penalty"}
    labelled = replace(REQUEST, agent="executor_3", problem_id="secret-id", role="executor", round_index=2)
    assert body(labelled) == body()


def test_half_a_surrogate_pair_can_be_sent():
    sent = body(replace(REQUEST, messages=(Message("user", "2 + 2 \ud83d"),)))
    assert json.dumps(sent, ensure_ascii=False).encode()


def test_prompt_tokens_are_not_underestimated_for_plain_english():
    text = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. " * 5
    assert most_prompt_tokens(replace(REQUEST, messages=(Message("user", text),))) > len(text.split()) * 1.3


def test_an_answer_is_read_with_what_it_cost():
    done = read_answer(raw(), REQUEST, "m")
    assert done == Completion("The answer is 4.", "stop", "m-served", Usage(0, 10, 5, 4))


def test_what_a_server_leaves_out_is_not_made_up():
    bare = json.dumps({"choices": [{"message": {"content": "4"}}]}).encode()
    assert read_answer(bare, REQUEST, "m") == Completion("4", "stop", "m", Usage())


def test_text_in_parts_is_joined():
    parts = [{"type": "text", "text": "The answer"}, {"type": "image"}, {"type": "text", "text": " is 4."}]
    assert read_answer(raw(parts), REQUEST, "m").text == "The answer is 4."


def test_half_a_surrogate_pair_is_replaced_so_that_the_text_can_be_stored():
    done = read_answer(raw("4 \ud83d", finish="st\ud83dop", model="m\udc00"), REQUEST, "m")
    assert (done.text, done.finish_reason, done.model) == ("4 \ufffd", "st\ufffdop", "m\ufffd")


@pytest.mark.parametrize(
    ("sent", "by_model", "why"),
    [
        (b"", False, "sent nothing"),
        (b"   ", False, "sent nothing"),
        (b"<!DOCTYPE html><html>", False, "HTML page"),
        (b"upstream error", False, "text that is not JSON: 'upstream error'"),
        (raw()[:40], False, "not JSON"),
        (b"[1]", False, "JSON list, not an object"),
        (b"null", False, "JSON NoneType"),
        (b"[" * 100_000, False, "not JSON"),
        (b"\xff\xfe", False, "not JSON"),
        (b"{}", False, "no choices"),
        (raw(choices=[]), False, "no choices"),
        (raw(choices=[None]), False, "no choices"),
        (raw(choices=[{"message": None}]), False, "no text"),
        (raw(None), False, "no text"),
        (raw([]), False, "no text"),
        (raw(4), False, "no text"),
        (raw(""), True, "wrote nothing"),
        (raw(" \n"), True, "wrote nothing"),
        (raw("<html><body>oops"), False, "HTML page"),
    ],
)
def test_what_can_not_be_used(sent, by_model, why):
    with pytest.raises(UnusableError, match=why) as caught:
        read_answer(sent, REQUEST, "m")
    assert caught.value.by_model is by_model


def test_an_unusable_answer_is_paid_all_the_same():
    with pytest.raises(UnusableError) as caught:
        read_answer(raw(""), REQUEST, "m")
    assert caught.value.usage == Usage(0, 10, 5, 4)


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ('{"answer": "4"}', True),
        ('Sure! ```json\n{"answer": 4}\n```', True),
        ("The answer is 4.", False),
        ("{", False),
        ("{}", False),
        ('{"reasoning": "I start with', False),
        ("[1, 2]", False),
    ],
)
def test_where_json_is_required_there_must_be_an_object(text, usable):
    if usable:
        assert read_answer(raw(text), JSON, "m").text == text
    else:
        with pytest.raises(UnusableError, match="no JSON object") as caught:
            read_answer(raw(text), JSON, "m")
        assert caught.value.by_model


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "type", "text", "finish_reason", "model"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_completion_with_text_or_unusable(sent):
    try:
        done = read_answer(sent, JSON, "m")
    except UnusableError:
        return
    assert done.text.strip()
    assert done.model
    assert done.usage.tokens >= 0


@given(JSON_VALUES)
def test_any_usage_is_counts(value):
    done = read_answer(raw(usage=value), REQUEST, "m")
    assert done.usage == Usage()


def test_absurd_counts_are_no_counts():
    usage = {"prompt_tokens": -3, "completion_tokens": "7", "prompt_tokens_details": [1]}
    assert read_answer(raw(usage=usage), REQUEST, "m").usage == Usage()


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', ["a", "b"]),
        (b'[{"id": "a"}, 3, {"name": "b"}]', ["a"]),
        (b'{"data": 3}', []),
        (b"<html>", []),
    ],
)
def test_models_of_a_server(sent, names):
    assert read_models(sent) == names

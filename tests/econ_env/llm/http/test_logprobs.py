"""Log-probabilities of replies: read from what servers send, asked for when wanted, and done without when refused."""

from __future__ import annotations

import asyncio
import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.errors import LLMRequestError
from econ_env.llm.http.failures import RefusedFieldError, status_failure
from econ_env.llm.http.logprobs import FLOOR, WINDOW, confidence_of, read_confidence
from econ_env.llm.http.wire import read_answer
from econ_env.records import Confidence
from econ_env.testing.faulty_server import RawAnswer

SAID = "The answer is 4."
WORDS = ("The", " answer", " is", " 4", ".")
NUMBERS = (-0.5, -0.25, -1.0, -0.125, -0.125)
MEAN = sum(NUMBERS) / 5
VALUES = st.lists(st.floats(-30, 0), min_size=1, max_size=60)


def chat(*tokens):
    """The shape of chat completions, from pairs of text and number."""
    return {"content": [{"token": text, "logprob": number, "bytes": list(text.encode())} for text, number in tokens]}


def old(*tokens):
    """The shape of the older completions."""
    return {"tokens": [text for text, _ in tokens], "token_logprobs": [number for _, number in tokens]}


REPLY = tuple(zip(WORDS, NUMBERS, strict=True))


def read(logprobs, said=SAID, *, thinks=False):
    return read_confidence(logprobs, said, thinks=thinks)


def ask(llm, request):
    return asyncio.run(llm.complete(request))


# The two numbers -------------------------------------------------------------------------------------------------


def test_mean_and_lowest_group_by_hand():
    assert confidence_of([]) is None
    assert confidence_of([-2.0]) == Confidence(-2.0, -2.0, 1)
    assert confidence_of([-1.0, -3.0]) == Confidence(-2.0, -2.0, 2)  # shorter than a group: all of it is the group
    doubtful = [0.0] * WINDOW + [-1.0] * WINDOW + [0.0] * WINDOW
    assert confidence_of(doubtful) == Confidence(pytest.approx(-1 / 3), -1.0, 3 * WINDOW)
    half = [0.0] * WINDOW + [-1.0] * (WINDOW // 2) + [0.0] * WINDOW
    assert confidence_of(half).lowest == -0.5
    edges = [-4.0] + [0.0] * (WINDOW - 1) + [-4.0]  # each group holds one of them, the whole both
    assert confidence_of(edges) == Confidence(-8 / (WINDOW + 1), -8 / (WINDOW + 1), WINDOW + 1)


def test_as_probabilities_it_is_the_geometric_mean():
    sure = confidence_of([math.log(0.5), math.log(0.125)])
    assert sure.probability == pytest.approx(0.25)
    assert sure.lowest_probability == pytest.approx(0.25)


@given(VALUES)
def test_it_is_lowest_then_mean_then_zero(values):
    sure = confidence_of(values)
    assert FLOOR <= sure.lowest <= sure.mean <= 0.0
    assert 0.0 < sure.lowest_probability <= sure.probability <= 1.0
    assert sure.tokens == len(values)
    clipped = [max(value, FLOOR) for value in values]
    assert sure.mean == pytest.approx(sum(clipped) / len(clipped), abs=1e-9)
    groups = [clipped[at : at + WINDOW] for at in range(max(1, len(clipped) - WINDOW + 1))]
    lowest = min(sum(group) / len(group) for group in [*groups, clipped])
    assert sure.lowest == pytest.approx(lowest, abs=1e-9)


@given(VALUES, st.data())
def test_a_less_likely_token_never_makes_a_reply_more_likely(values, data):
    place = data.draw(st.integers(0, len(values) - 1))
    less = [*values[:place], values[place] - 1.0, *values[place + 1 :]]
    before, after = confidence_of(values), confidence_of(less)
    assert after.mean <= before.mean + 1e-9
    assert after.lowest <= before.lowest + 1e-9


# What servers send -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [chat, old])
def test_both_shapes_are_read(shape):
    assert read(shape(*REPLY)) == Confidence(MEAN, MEAN, 5)


@pytest.mark.parametrize(
    "sent",
    [
        None, {}, [], "none", 3, True, {"content": None}, {"content": []}, {"content": {}}, {"content": [None, 3, "a"]},
        {"content": [{}]}, {"content": [{"token": "4"}]}, {"token_logprobs": None}, {"token_logprobs": []},
        {"tokens": ["4"]}, {"token_logprobs": [None, None], "tokens": ["a", "b"]},
        *({"content": [{"token": "4", "logprob": value}]} for value in (None, "-1", True, float("nan"), 5.0, [1], {})),
        {"content": [{"token": "4", "logprob": float("inf")}]},
    ],
    ids=repr,
)  # fmt: skip
def test_without_a_readable_number_the_confidence_is_unknown(sent):
    assert read(sent) is None


@pytest.mark.parametrize(
    ("value", "counted"),
    [(-9999, FLOOR), (-3.4e38, FLOOR), (float("-inf"), FLOOR), (-(10**400), FLOOR), (0, 0.0), (1e-7, 0.0), (-1, -1.0)],
)
def test_numbers_outside_the_range_are_brought_into_it(value, counted):
    sure = read({"content": [{"token": "4", "logprob": value}]}, "4")
    assert sure == Confidence(counted, counted, 1)
    assert type(sure.mean) is float


def test_tokens_without_a_number_do_not_count():
    tokens = [("The", None), *REPLY[1:]]
    for shape in (chat, old):
        assert read(shape(*tokens)).tokens == 4
        assert read(shape(*tokens)).mean == pytest.approx(sum(NUMBERS[1:]) / 4)


def test_end_marks_do_not_count_and_a_shorter_list_does():
    assert read(chat(*REPLY, ("<|im_end|>", -8.0), ("", -8.0))) == read(chat(*REPLY))
    assert read(chat((" ", -8.0), *REPLY, ("\n", -8.0))) == read(chat(*REPLY))
    assert read(chat(*REPLY[:3])).tokens == 3
    assert read({"token_logprobs": list(NUMBERS)}) == read(chat(*REPLY))
    assert read({"token_logprobs": list(NUMBERS), "tokens": ["The"]}) == read(chat(*REPLY))


def test_a_character_of_several_tokens_is_found_by_its_bytes():
    euro = "€".encode()
    tokens = [{"token": "\ufffd", "bytes": [byte], "logprob": -1.0} for byte in euro]
    sent = {"content": [*chat(("<think>", -5.0), ("hm", -5.0), ("</think>", -5.0))["content"], *tokens]}
    assert read(sent, "€", thinks=True) == Confidence(-1.0, -1.0, 3)


@pytest.mark.parametrize("shape", [chat, old])
@pytest.mark.parametrize(
    "before",
    [
        [("<think>", -9.0), ("4", -9.0), ("?", -9.0), ("</think>", -9.0), ("\n\n", -9.0)],
        [("2 + 2", -9.0), ("</think>", -9.0)],
        [("<|channel|>analysis<|message|>2<|end|><|start|>assistant<|channel|>final<|message|>", -9.0)],
        [("a thought without any mark ", -9.0)],
        [("The answer is 4.", -9.0), ("</think>", -9.0)],
    ],
    ids=["tags", "only closed", "channels", "field", "says the same"],
)
def test_thought_does_not_count(shape, before):
    assert read(shape(*before, *REPLY), thinks=True) == Confidence(MEAN, MEAN, 5)


def test_thought_that_is_not_in_the_list_changes_nothing():
    assert read(chat(*REPLY), thinks=True) == read(chat(*REPLY))
    assert read(chat(*REPLY[:3]), thinks=True).tokens == 3


def test_of_a_list_that_ends_early_only_what_is_said_counts():
    assert read(chat(("<think>hm</think>", -9.0), *REPLY[:3]), thinks=True) == read(chat(*REPLY[:3]))


@pytest.mark.parametrize(
    "sent",
    [
        {"token_logprobs": [-1.0, -2.0]},
        chat(("token_id:17", -1.0), ("token_id:4", -1.0)),
        chat(("2 + 2 is", -1.0)),
        chat(("<think>2 + 2", -1.0)),
    ],
)
def test_thought_that_can_not_be_told_apart_makes_it_unknown(sent):
    assert read(sent, thinks=True) is None


def test_an_answer_carries_it_and_hidden_thought_is_heeded(request_):
    def raw(logprobs, **usage):
        choice = {"message": {"content": SAID}, "finish_reason": "stop", "logprobs": logprobs}
        return json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode()

    hidden = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}
    request = request_()
    assert read_answer(raw(chat(*REPLY)), request, "m").confidence == Confidence(MEAN, MEAN, 5)
    assert read_answer(raw(None), request, "m").confidence is None
    assert read_answer(raw(chat(*REPLY), **hidden), request, "m").confidence == Confidence(MEAN, MEAN, 5)
    assert read_answer(raw({"token_logprobs": [-1.0]}, **hidden), request, "m").confidence is None
    assert read_answer(raw(chat(("4", math.nan))), request, "m").confidence is None  # JSON of Python has NaN


# Asking for them -------------------------------------------------------------------------------------------------


def sure(body):
    return RawAnswer({"content": SAID}, logprobs=chat(*REPLY) if body.get("logprobs") else None)


def test_only_requests_that_want_them_ask_for_them(serve, client, request_):
    server = serve(sure)
    llm = client(server)
    assert llm.info.logprobs
    assert ask(llm, request_()).confidence is None
    assert ask(llm, request_(logprobs=True)).confidence == Confidence(MEAN, MEAN, 5)
    assert [body.get("logprobs") for body in server.seen.bodies] == [None, True]


def test_the_cache_keeps_them_and_does_not_mix_both_kinds_of_requests(serve, client, request_):
    server = serve(sure)
    llm = client(server, cache=True)
    done = [ask(llm, request_(logprobs=wanted)) for wanted in (True, False, True, False)]
    assert [one.confidence is not None for one in done] == [True, False, True, False]
    assert done[0].confidence == done[2].confidence
    assert [one.usage.cache_hits for one in done] == [0, 0, 1, 1]
    assert server.seen.calls == 2


def test_a_server_that_refuses_them_is_not_asked_again_and_one_warning_says_so(serve, client, request_, caplog):
    server = serve(sure, refuses=["logprobs"])
    llm = client(server)
    with caplog.at_level(logging.WARNING):
        done = [ask(llm, request_(logprobs=True, seed=seed)) for seed in range(3)]
    assert [(one.text, one.confidence) for one in done] == [(SAID, None)] * 3
    assert ["logprobs" in body for body in server.seen.bodies] == [True, False, False, False]
    assert not llm.info.logprobs
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "logprobs of test-model is left out from now on: replies have no confidence" in warning


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_of_them_is_told_from_a_wrong_key(status):
    said = json.dumps({"error": {"message": "You are not allowed to request logprobs from this model"}})

    def failure(sent):
        return status_failure(status, said, {}, url="http://h/v1", key_advice="check the key", sent=sent)

    refused = failure({"logprobs": True})
    assert isinstance(refused, RefusedFieldError)
    assert refused.fields == {"logprobs"}
    assert isinstance(failure({}), LLMRequestError)

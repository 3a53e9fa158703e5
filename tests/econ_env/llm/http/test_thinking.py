"""Models that think: thought apart from text, a limit that leaves room for it, and what both cost."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from econ_env.errors import BudgetError, LLMContextError, LLMReplyError
from econ_env.llm.cache import request_key
from econ_env.llm.http.thinking import RAISED
from econ_env.llm.http.wire import read_answer
from econ_env.llm.protocol import ChatRequest, Message
from econ_env.records import Usage
from econ_env.testing.faulty_server import RawAnswer

SAID = "The answer is 4."
CHANNELS = f"<|channel|>analysis<|message|>2 + 2<|end|><|start|>assistant<|channel|>final<|message|>{SAID}"
NEEDED = 1000
"""Tokens that the model of these tests thinks."""


def thinker(body):
    """A model that thinks in a field of its own and says nothing before it is done."""
    if body["max_tokens"] < NEEDED:
        return RawAnswer({"content": None, "reasoning_content": "2 + 2 is"}, "length")
    return RawAnswer({"content": SAID, "reasoning_content": "2 + 2 is 4."})


def never_done(body):
    return RawAnswer({"content": "", "reasoning": "Hm. " * 10}, "length")


def ask(llm, request):
    return asyncio.run(llm.complete(request))


def limits(server):
    return [body["max_tokens"] for body in server.seen.bodies]


@pytest.mark.parametrize(
    ("message", "thought"),
    [
        ({"content": SAID, "reasoning_content": "2 + 2"}, "2 + 2"),
        ({"content": SAID, "reasoning": "2 + 2"}, "2 + 2"),
        ({"content": SAID, "reasoning": "2 + 2", "reasoning_content": "2 + 2"}, "2 + 2"),
        ({"content": SAID, "reasoning_content": None, "reasoning": ["2 ", {"text": "+ 2"}]}, "2 + 2"),
        ({"content": SAID, "reasoning_details": [{"type": "reasoning.text", "text": "2 + 2"}]}, "2 + 2"),
        ({"content": SAID, "reasoning_details": [{"type": "reasoning.summary", "summary": "2 + 2"}]}, "2 + 2"),
        ({"content": [{"type": "thinking", "thinking": "2 + 2"}, {"type": "text", "text": SAID}]}, "2 + 2"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "2 + 2"}]},
                    {"type": "text", "text": SAID},
                ]
            },
            "2 + 2",
        ),
        ({"content": f"<think>2 + 2</think>\n\n{SAID}"}, "2 + 2"),
        ({"content": f"4?</think>{SAID}", "reasoning_content": "2 + 2"}, "2 + 2\n\n4?"),
        ({"content": CHANNELS}, "2 + 2"),
        ({"content": SAID, "reasoning_content": None, "reasoning": ""}, ""),
        ({"content": SAID, "reasoning_content": [[[[[["deep"]]]]]]}, ""),
    ],
)
def test_thought_is_told_from_what_is_said_wherever_it_stands(serve, client, request_, message, thought):
    done = ask(client(serve(lambda body: RawAnswer(message))), request_())
    assert (done.text, done.thought) == (SAID, thought)


def test_json_is_needed_in_what_is_said_and_thought_before_it_does_no_harm(serve, client, request_):
    said = '{"reasoning": "2 + 2", "answer": "4"}'
    server = serve(lambda body: RawAnswer({"content": f'<think>{{"answer": "5"}}</think>{said}'}))
    assert ask(client(server), request_(require_json=True)).text == said
    only_thought = serve(lambda body: RawAnswer({"content": f"<think>{said}</think>4"}))
    with pytest.raises(LLMReplyError, match="no JSON object in the text"):
        ask(client(only_thought), request_(require_json=True))


# A limit that leaves room for thought --------------------------------------------------------------------------------


def test_a_limit_that_thought_uses_up_is_raised_once_for_all_calls(serve, client, request_, caplog):
    server = serve(thinker, latency=0.05)
    llm = client(server)

    async def several():
        return await asyncio.gather(*(llm.complete(request_(seed=seed)) for seed in range(3)))

    with caplog.at_level(logging.WARNING):
        done = asyncio.run(several())
    assert {answer.text for answer in done} == {SAID}
    assert sorted(limits(server)) == [64] * 3 + [64 + RAISED] * 3
    assert ask(llm, request_(seed=9)).text == SAID
    assert limits(server)[6:] == [64 + RAISED]
    assert [record.message.count("llm.thinking_tokens") for record in caplog.records] == [1]
    assert sum(answer.usage.retries for answer in done) == 3
    assert llm.meter.snapshot().total.completion_tokens == llm.meter.snapshot().sent.completion_tokens > 0


def test_a_reply_that_is_cut_because_of_thought_is_asked_for_again(serve, client, request_):
    def cut(body):
        if body["max_tokens"] < NEEDED:
            return RawAnswer({"content": "<think>2 + 2</think>The ans"}, "length")
        return RawAnswer({"content": f"<think>2 + 2</think>{SAID}"})

    server = serve(cut)
    assert ask(client(server), request_()).text == SAID
    assert limits(server) == [64, 64 + RAISED]


def test_hidden_thought_is_known_by_its_tokens(serve, client, request_):
    def hidden(body):
        counts = {"completion_tokens": 64, "completion_tokens_details": {"reasoning_tokens": 64}}
        enough = body["max_tokens"] >= NEEDED
        return RawAnswer({"content": SAID}) if enough else RawAnswer({"content": None}, "length", counts)

    assert ask(client(serve(hidden)), request_()).usage.thought_tokens == 64


def test_a_model_that_is_never_done_says_which_setting_to_raise(serve, client, request_):
    server = serve(never_done)
    llm = client(server)
    with pytest.raises(LLMReplyError, match=rf"limit of 64 \+ {RAISED} tokens .*raise llm.thinking_tokens") as failed:
        ask(llm, request_())
    assert limits(server) == [64, 64 + RAISED]
    assert failed.value.usage.completion_tokens == 40
    assert llm.meter.snapshot().failed == {"unusable": 1}
    assert llm.meter.snapshot().sent.completion_tokens == 40


def test_a_limit_that_was_set_is_sent_at_once_and_never_raised(serve, client, request_):
    server = serve(thinker)
    assert ask(client(server, thinking_tokens=2000), request_()).text == SAID
    with pytest.raises(LLMReplyError, match=r"limit of 64 \+ 100 tokens .*llm.thinking_tokens \(now 100\)"):
        ask(client(server, thinking_tokens=100), request_())
    with pytest.raises(LLMReplyError, match=r"limit of 64 \+ 0 tokens"):
        ask(client(server, thinking_tokens=0), request_())
    assert limits(server) == [2064, 164, 64]


def test_a_model_that_does_not_think_is_cut_as_before(serve, client, request_):
    server = serve(lambda body: RawAnswer({"content": "<think>\n\n</think>\n\nThe ans"}, "length"))
    done = ask(client(server), request_())
    assert (done.text, done.finish_reason, limits(server)) == ("The ans", "length", [64])


def test_only_as_much_is_added_as_the_context_has(serve, client, request_, caplog):
    def small(body):
        if body["max_tokens"] > 2500:
            raise LLMContextError("This model's maximum context length is 2500 tokens")
        return thinker(body)

    server = serve(small)
    llm = client(server)
    assert ask(llm, request_()).text == SAID
    assert ask(llm, request_(seed=2)).text == SAID
    assert limits(server) == [64, 64 + RAISED, 64 + RAISED // 2, 64 + RAISED // 2]
    assert "do not fit into its context" in caplog.text
    with pytest.raises(LLMContextError, match=r"or lower llm.thinking_tokens \(3000\)"):
        ask(client(server, thinking_tokens=3000), request_())


# What it costs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "completion", "thought"),
    [
        ({"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 60}}, 90, 60),
        ({"completion_tokens": 90, "reasoning_tokens": 60}, 90, 60),
        ({"completion_tokens": 6, "total_tokens": 105, "completion_tokens_details": {"reasoning_tokens": 89}}, 95, 89),
        ({"completion_tokens": 90, "total_tokens": 160, "reasoning_tokens": 60}, 150, 60),
        ({"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": None}}, 90, 0),
        ({"completion_tokens": 90, "completion_tokens_details": [1], "reasoning_tokens": -1}, 90, 0),
    ],
)
def test_thought_tokens_are_a_part_of_the_completion(serve, client, request_, counts, completion, thought):
    llm = client(
        serve(lambda body: RawAnswer({"content": SAID}, usage={"prompt_tokens": 10, "total_tokens": 100} | counts))
    )
    used = ask(llm, request_()).usage
    assert used == Usage(1, 10, completion, thought_tokens=thought)
    account = llm.meter.snapshot()
    assert account.total == account.by_role["executor"] == used
    assert account.sent.thought_tokens == thought
    assert (used + used).thought_tokens == 2 * thought


def test_budgets_hold_the_raised_limit(serve, client, request_):
    server = serve(thinker)
    with pytest.raises(BudgetError, match="one more call may take 4"):
        ask(client(server, budget_tokens=3000), request_())
    assert limits(server) == [64]
    assert ask(client(serve(thinker), budget_tokens=6000), request_()).text == SAID


def test_the_cache_keeps_thought_and_knows_limits_that_were_set(serve, client, request_):
    server = serve(thinker)
    first = ask(client(server, cache=True), request_())
    kept = ask(client(server, cache=True), request_())
    assert (kept.text, kept.thought, kept.usage.cache_hits) == (SAID, "2 + 2 is 4.", 1)
    assert first.thought == kept.thought
    assert server.seen.calls == 2
    ask(client(server, cache=True, thinking_tokens=NEEDED), request_())
    assert server.seen.calls == 3


def test_a_limit_that_was_set_is_a_part_of_the_key():
    request = ChatRequest((Message("user", "2 + 2?"),), "", 0.5, 1.0, 0.9, 64, 7)
    assert request_key("http://h/v1", "m", request) == request_key("http://h/v1", "m", request, None)
    assert request_key("http://h/v1", "m", request, 0) != request_key("http://h/v1", "m", request)


# Names of models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "name"),
    [
        ("/home/anna/models/qwen2.5-0.5b.gguf", "qwen2.5-0.5b"),
        ("C:\\Users\\anna\\qwen.gguf", "qwen"),
        ("models/qwen.gguf", "qwen"),
        ("/models/Qwen2.5-7B/", "Qwen2.5-7B"),
        ("~/q.gguf", "q"),
        ("../q", "q"),
        ("/", "model"),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("qwen.gguf", "qwen.gguf"),
        ("accounts/fireworks/models/qwen3", "accounts/fireworks/models/qwen3"),
    ],
)
def test_a_completion_never_names_a_file_of_the_server(serve, client, request_, served, name):
    server = serve(lambda body: RawAnswer({"content": SAID}, model=served))
    assert ask(client(server), request_()).model == name
    unnamed = json.dumps({"choices": [{"message": {"content": SAID}}]}).encode()
    assert read_answer(unnamed, request_(), served).model == name


def test_a_served_file_is_asked_for_by_its_path_and_shown_by_its_name(serve, client, request_):
    path = "/home/anna/models/qwen2.5-0.5b.gguf"
    server = serve(models=[path])
    llm = client(server)
    ask(llm, request_())
    assert llm.info.model == "qwen2.5-0.5b"
    ask(llm, request_(model=llm.info.model))  # as a team does
    named = client(server, path)
    ask(named, request_(model=named.info.model))
    assert {body["model"] for body in server.seen.bodies} == {path}

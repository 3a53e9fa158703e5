"""Fields and headers of a user's own: what is sent, for whom, what is kept secret, and what is refused."""

import asyncio
import pickle

import pytest

from econ_env.config import LLMConfig, parse_settings
from econ_env.errors import ConfigError
from econ_env.llm.cache import request_key
from econ_env.llm.http.secrets import scrub


def ask(llm, request):
    return asyncio.run(llm.complete(request))


def test_fields_are_added_to_every_call(serve, client, request_):
    server = serve()
    llm = client(server, extra_body={"chat_template_kwargs": {"enable_thinking": False}, "top_k": 7})
    ask(llm, request_(role="strategy", agent=""))
    ask(llm, request_())
    assert [body["chat_template_kwargs"] for body in server.seen.bodies] == [{"enable_thinking": False}] * 2
    assert [body["top_k"] for body in server.seen.bodies] == [7, 7]


def test_members_have_fields_of_their_own(serve, client, request_):
    server = serve()
    llm = client(
        server,
        extra_body={"effort": "low", "route": "a"},
        extra_for={
            "coordinator": {"extra_body": {"effort": "high"}},
            "executors": {"extra_body": {"route": "b"}},
            "executor_1": {"extra_body": {"route": "c"}},
        },
    )
    for role, agent in (
        ("strategy", ""),
        ("commitment", "cluster_0"),
        ("executor", "executor_0"),
        ("executor", "executor_1"),
        ("other", ""),
    ):
        ask(llm, request_(role=role, agent=agent))
    assert [(body["effort"], body["route"]) for body in server.seen.bodies] == [
        ("high", "a"),
        ("high", "a"),
        ("low", "b"),
        ("low", "c"),
        ("low", "a"),
    ]


def test_values_come_from_the_environment_and_are_never_shown(serve, client, request_, monkeypatch):
    monkeypatch.setenv("MY_PROJECT", "geheim-7")
    server = serve()
    llm = client(server, extra_body={"project": "p/$MY_PROJECT", "price": "5 $$"}, cache=True)
    ask(llm, request_())
    assert server.seen.bodies[0]["project"] == "p/geheim-7"
    assert server.seen.bodies[0]["price"] == "5 $"
    assert "geheim" not in scrub("the server said geheim-7")
    assert "geheim" not in f"{llm.config!r} {llm.config.model_dump(mode='json')} {llm!r}"
    assert b"geheim" not in pickle.dumps(llm)


def test_headers_are_added(answer, client, request_, heads, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "geheim-8")
    llm = client(
        answer(200, "{}"),
        "m",
        max_retries=0,
        extra_headers={"Authorization": "Token $MY_TOKEN", "X-Team": "all"},
        extra_for={"executor_0": {"extra_headers": {"x-team": "zero"}}},
    )
    for agent in ("executor_0", "executor_1"):
        with pytest.raises(Exception, match="no choices"):
            ask(llm, request_(agent=agent))
    lines = [head.decode().lower().split("\r\n") for head in heads]
    assert all("authorization: token geheim-8" in found for found in lines)
    assert [next(line for line in found if line.startswith("x-team")) for found in lines] == [
        *["x-team: zero"] * 2,
        *["x-team: all"] * 2,
    ]


def test_a_variable_that_is_not_set_is_said_before_the_first_call(serve, client, monkeypatch):
    monkeypatch.delenv("MY_PROJECT", raising=False)
    server = serve()
    llm = client(server, extra_for={"executor_2": {"extra_body": {"a": {"b": ["$MY_PROJECT"]}}}})
    with pytest.raises(ConfigError, match=r"^llm\.extra_body\.a\.b needs the environment variable MY_PROJECT"):
        asyncio.run(llm.prepare())
    assert server.seen.calls == 0


def test_they_are_a_part_of_the_cache_key_and_values_of_the_environment_are_not(
    serve, client, request_, settings, monkeypatch
):
    server = serve()
    for value in ("one", "two"):
        monkeypatch.setenv("MY_PROJECT", value)
        ask(client(server, "test-model", cache=True, extra_body={"a": "$MY_PROJECT"}), request_())
    assert server.seen.calls == 1
    ask(client(server, "test-model", cache=True, extra_body={"a": "other"}), request_())
    ask(client(server, "test-model", cache=True, extra_headers={"a": "other"}), request_())
    ask(client(server, "test-model", cache=True), request_())
    assert server.seen.calls == 4
    assert request_key("s", "m", request_()) == request_key("s", "m", request_(), None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extra_body": {"temperature": 1}}, "llm.extra_body: can't set temperature: it is a control"),
        ({"extra_body": {"n": 4}}, "can't set n: every reply is a call of its own"),
        ({"extra_body": ["a"]}, "llm.extra_body: must hold keys and values"),
        ({"extra_body": {"a": float("nan")}}, "can't be written as JSON"),
        ({"extra_headers": {"X-Api-Key": "sk-123"}}, "write \\$NAME"),
        ({"extra_headers": {"a b": "c"}}, "'a b' is not a header's name"),
        ({"extra_headers": {"a": "b\nc"}}, "a line of ASCII text"),
        ({"extra_headers": {"a": 3}}, "a line of ASCII text"),
        ({"extra_headers": {"Content-Length": "3"}}, "the client sets it"),
        ({"extra_for": {"executor": {}}}, "'executor' is no member"),
        ({"extra_for": {"executors": {"body": {}}}}, "must hold extra_body, extra_headers, or both"),
        ({"extra_for": {"executors": {"extra_body": {"seed": 1}}}}, "executors.extra_body can't set seed"),
    ],
)
def test_what_can_not_be_added(given, message):
    from econ_env.config import EnvConfig

    with pytest.raises(ConfigError, match=message) as caught:
        parse_settings(EnvConfig, {"llm": given})
    assert "\n" not in str(caught.value)


def test_settings_with_them_can_be_written_and_read_again():
    config = LLMConfig(extra_body={"a": [1, {"b": None}]}, extra_for={"executor_0": {"extra_headers": {"c": "d"}}})
    again = LLMConfig(**config.model_dump(mode="json"))
    assert again == config
    assert hash(again) == hash(config)
    assert again.extra_body["a"] == [1, {"b": None}]

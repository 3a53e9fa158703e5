"""The cache on disk: its keys tell requests apart, and nothing that happens to its files stops a run."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import sqlite3
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.config import LLMConfig
from econ_env.llm.cache import CompletionCache, request_key, shared_cache
from econ_env.llm.http.logprobs import confidence_of
from econ_env.llm.protocol import ChatRequest, Completion, Message
from econ_env.records import Usage

REQUEST = ChatRequest((Message("system", "Solve."), Message("user", "2 + 2?")), "", 0.5, 1.1, 0.9, 64, 7)
DONE = Completion("The answer is 4.", "stop", "m", Usage(1, 10, 5, 2, 0, 3))
LABELS = {"role": "executor", "agent": "executor_1", "problem_id": "p", "round_index": 3, "bypass_cache": True}
LIMIT = 10_000_000

TEXTS = st.text(max_size=12)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS), min_size=1, max_size=3
).map(tuple)
REQUESTS = st.builds(
    ChatRequest,
    messages=MESSAGES,
    model=TEXTS,
    temperature=st.floats(0, 2),
    repetition_penalty=st.floats(1, 2),
    top_p=st.floats(0.1, 1),
    max_tokens=st.integers(1, 300),
    seed=st.integers(0, 2**31 - 1),
    sample_index=st.integers(0, 40),
    min_p=st.sampled_from((0.0, 0.1)),
    json_schema=st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2),
    require_json=st.booleans(),
    logprobs=st.booleans(),
)
COMPLETIONS = st.builds(
    Completion,
    text=st.text(min_size=1, max_size=200),
    finish_reason=st.text(min_size=1, max_size=8),
    model=st.text(min_size=1, max_size=8),
    usage=st.builds(Usage, st.just(1), *(st.integers(0, 9999) for _ in range(3)), st.just(0), st.integers(0, 9)),
    confidence=st.lists(st.floats(-20, 0), max_size=40).map(confidence_of),
)


def key(request=REQUEST, server="http://h/v1", model="m"):
    return request_key(server, model, request)


@pytest.fixture
def cache(tmp_path):
    """Makes caches in one folder and closes them after the test."""
    made = []

    def make(**changes):
        made.append(CompletionCache(tmp_path / "cache", changes.get("size_limit", LIMIT)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def put(cache, name, completion=DONE):
    asyncio.run(cache.put(name, completion))


def get(cache, name):
    return asyncio.run(cache.get(name))


def rows(tmp_path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "cache" / "cache.db", isolation_level=None)


# Keys ----------------------------------------------------------------------------------------------------------------

CHANGES = {
    "messages": (Message("system", "Solve."), Message("user", "2 + 3?")),
    "temperature": 0.5000001,
    "repetition_penalty": 1.2,
    "top_p": 0.8,
    "min_p": 0.1,
    "max_tokens": 65,
    "seed": 8,
    "sample_index": 1,
    "json_schema": {"type": "object"},
    "require_json": True,
    "logprobs": True,
}


def test_every_field_is_either_in_the_key_or_a_label():
    names = {field.name for field in fields(ChatRequest)}
    assert names == {*CHANGES, *LABELS, "model"}  # the model counts as the one that is asked in the end


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_decides_the_outcome_changes_the_key(name):
    assert key(replace(REQUEST, **{name: CHANGES[name]})) != key()


@pytest.mark.parametrize("name", LABELS)
def test_labels_do_not_change_the_key(name):
    assert key(replace(REQUEST, **{name: LABELS[name]})) == key()


def test_server_and_model_change_the_key():
    assert len({key(), key(server="http://h/v2"), key(model="n"), key(server="m", model="http://h/v1")}) == 4


def test_a_whole_number_is_the_number_however_it_is_written():
    assert key(replace(REQUEST, temperature=1)) == key(replace(REQUEST, temperature=1.0))


def _what_counts(request: ChatRequest):
    return replace(request, model="", role="other", agent="", problem_id="", round_index=0, bypass_cache=False)


@given(REQUESTS, REQUESTS)
def test_two_requests_have_one_key_exactly_if_they_ask_for_the_same(one, other):
    assert (key(one) == key(other)) == (_what_counts(one) == _what_counts(other))


@given(REQUESTS, st.data())
def test_one_changed_field_is_enough(one, data):
    name = data.draw(st.sampled_from(sorted(CHANGES)))
    other = replace(one, **{name: getattr(data.draw(REQUESTS), name)})
    assert (key(one) == key(other)) == (getattr(one, name) == getattr(other, name))


@given(st.text(min_size=1, max_size=6), st.integers(0, 5))
def test_where_a_message_ends_counts(text, cut):
    halves = (Message("user", text[:cut]), Message("user", text[cut:]))
    assert key(replace(REQUEST, messages=halves)) != key(replace(REQUEST, messages=(Message("user", text),)))


# Keeping -------------------------------------------------------------------------------------------------------------


def test_what_was_kept_comes_back_as_an_answer_that_cost_nothing_now(cache):
    one = cache()
    put(one, "a")
    assert get(one, "a") == replace(DONE, usage=Usage(1, 10, 5, 2, cache_hits=1, retries=0))
    assert get(one, "b") is None


def test_it_is_there_for_the_next_process_that_opens_the_folder(cache):
    one = cache()
    put(one, "a")
    one.close()
    one.close()
    assert get(cache(), "a").text == DONE.text


@given(completion=COMPLETIONS)
def test_any_completion_comes_back_unchanged(tmp_path_factory, completion):
    one = CompletionCache(tmp_path_factory.getbasetemp() / "any", LIMIT)
    try:
        put(one, "a", completion)
        kept = get(one, "a")
    finally:
        one.close()
    assert replace(kept, usage=Usage()) == replace(completion, usage=Usage())
    assert kept.usage.tokens == completion.usage.tokens


def test_nothing_is_ever_unpickled(cache, tmp_path):
    one = cache()
    put(one, "a")
    bomb = pickle.dumps(os.getcwd)
    with rows(tmp_path) as table:
        table.execute("UPDATE Cache SET mode = 4, value = ?", (sqlite3.Binary(bomb),))  # diskcache's mark for a pickle
    assert get(one, "a") is None
    assert get(one, "a") is None


GOOD = json.loads(
    '{"format": 1, "text": "4", "finish_reason": "stop", "model": "m", "usage": {"calls": 1, "prompt_tokens": 1}}'
)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "null",
        "[]",
        json.dumps({**GOOD, "format": 0}),
        json.dumps({**GOOD, "text": ""}),
        json.dumps({**GOOD, "text": None}),
        json.dumps({**GOOD, "usage": {"calls": -1}}),
        json.dumps({**GOOD, "usage": {"prompt_tokens": "many"}}),
        json.dumps({**GOOD, "usage": {"other": 1}}),
        json.dumps({**GOOD, "usage": None}),
        json.dumps({**GOOD, "more": 1}),
        json.dumps({name: value for name, value in GOOD.items() if name != "model"}),
        b"\x00\xff",
        17,
        None,
    ],
)
def test_a_damaged_entry_is_dropped_and_replaced(cache, tmp_path, caplog, damaged):
    one = cache()
    put(one, "a"), put(one, "b")
    with rows(tmp_path) as table:
        table.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (damaged,))
    assert get(one, "a") is None
    with rows(tmp_path) as table:
        assert table.execute("SELECT key FROM Cache ORDER BY key").fetchall() in ([("b",)], [("a",), ("b",)])
    put(one, "a")
    assert get(one, "a").text == get(one, "b").text == DONE.text


def test_a_sound_entry_of_the_same_shape_is_read(cache, tmp_path):
    one = cache()
    put(one, "a")
    with rows(tmp_path) as table:
        table.execute("UPDATE Cache SET value = ?", (json.dumps(GOOD),))
    assert get(one, "a").text == "4"


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(cache, tmp_path, caplog, cut):
    one = cache()
    put(one, "a")
    one.close()
    for path in (tmp_path / "cache").glob("cache.db-*"):
        path.unlink()
    file = tmp_path / "cache" / "cache.db"
    file.write_bytes(b"no database at all" * 500 if cut == 0 else file.read_bytes()[:cut] + b"\xff" * 9000)
    again = cache()
    assert get(again, "a") is None
    put(again, "a")
    assert get(again, "a").text == DONE.text
    assert len(list(tmp_path.glob("cache.damaged-*"))) == 1
    assert "was moved to" in caplog.text


def test_a_folder_that_can_not_be_written_costs_only_the_caching(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file is in the way")
    one = CompletionCache(tmp_path / "cache", LIMIT)
    put(one, "a")
    assert get(one, "a") is None
    assert caplog.text.count("going on without the cache") == 1
    assert (tmp_path / "cache").read_text() == "a file is in the way"
    one.close()


def test_a_full_disk_costs_only_the_caching(cache, tmp_path, caplog):
    one = cache()
    put(one, "a")

    def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    one._open = full
    put(one, "b")
    assert get(one, "b") is None
    assert "disk is full" in caplog.text


def test_it_stays_below_its_size_and_lets_the_oldest_go(cache, tmp_path):
    one = cache(size_limit=400_000)
    for number in range(300):
        put(one, f"{number}", replace(DONE, text=f"{number} " + "x" * 4000))
    kept = [number for number in range(300) if get(one, f"{number}") is not None]
    size = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("cache.db"))
    assert size < 600_000
    assert 20 < len(kept) < 150
    assert kept == list(range(300 - len(kept), 300))


def test_many_at_once_are_kept(cache):
    one = cache()

    async def all_of_them():
        await asyncio.gather(*(one.put(str(number), replace(DONE, text=str(number))) for number in range(300)))
        return await asyncio.gather(*(one.get(str(number)) for number in range(300)))

    assert [done.text for done in asyncio.run(all_of_them())] == [str(number) for number in range(300)]


def _write(folder, name: str, count: int) -> None:
    one = CompletionCache(folder, LIMIT)
    for number in range(count):
        put(one, f"{name}{number}", replace(DONE, text=f"{name}{number}"))
        put(one, "shared", replace(DONE, text=name * 500))
    one.close()


def test_several_processes_write_one_folder(cache, tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path / "cache", name, 60)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    one = cache()
    assert all(get(one, f"{name}{number}").text == f"{name}{number}" for name in "abc" for number in range(60))
    assert get(one, "shared").text in {"a" * 500, "b" * 500, "c" * 500}


def test_equal_settings_share_one_cache_and_others_do_not(tmp_path):
    made: Callable[..., LLMConfig] = lambda **changes: LLMConfig(cache_dir=str(tmp_path / "x"), **changes)  # noqa: E731
    assert shared_cache(made()) is shared_cache(made(timeout=1.0))
    assert shared_cache(made()) is not shared_cache(made(cache_size=5))
    assert shared_cache(LLMConfig(cache_dir=str(tmp_path / "y"))).directory == tmp_path / "y"
    assert not (tmp_path / "x").exists()  # nothing is opened before it is used


def test_entries_from_before_thought_was_kept_still_answer(cache, tmp_path):
    one = cache()
    put(one, "a")
    with rows(tmp_path) as table:
        ((text,),) = table.execute("SELECT value FROM Cache WHERE key = 'a'").fetchall()
        entry = json.loads(text)
        assert entry.pop("thought") == ""
        assert entry["usage"].pop("thought_tokens") == 0
        table.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (json.dumps(entry),))
    assert get(one, "a") == replace(DONE, usage=replace(DONE.usage, cache_hits=1, retries=0))


def test_entries_without_log_probabilities_are_as_before_there_were_any(cache, tmp_path):
    put(cache(), "a")
    with rows(tmp_path) as table:
        ((text,),) = table.execute("SELECT value FROM Cache WHERE key = 'a'").fetchall()
    assert "confidence" not in json.loads(text)


@pytest.mark.parametrize(
    "damaged",
    [
        {"mean": 0.1, "lowest": -1.0, "tokens": 3},
        {"mean": -1.0, "lowest": -0.5, "tokens": 3},
        {"mean": -1.0, "lowest": -2.0, "tokens": 0},
        {"mean": None, "lowest": -2.0, "tokens": 3},
        {"mean": float("nan"), "lowest": -2.0, "tokens": 3},
        {"mean": -1.0},
        [-1.0, -2.0, 3],
    ],
)
def test_a_damaged_confidence_is_no_answer(cache, tmp_path, damaged):
    one = cache()
    put(one, "a", replace(DONE, confidence=confidence_of([-1.0])))
    with rows(tmp_path) as table:
        ((text,),) = table.execute("SELECT value FROM Cache WHERE key = 'a'").fetchall()
        changed = json.dumps(json.loads(text) | {"confidence": damaged})
        table.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (changed,))
    assert get(one, "a") is None

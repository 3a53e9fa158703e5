"""Checks that an object is a language model (`econ_env.llm.LLM`); each error says how to repair it.

>>> from econ_env.testing import check_llm
>>> check_llm(lambda: MyLLM("http://localhost:8000"))
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from typing import Any, TypeVar

from econ_env.errors import BudgetError, LLMError
from econ_env.llm.protocol import LLM, ChatRequest, Completion, LLMInfo
from econ_env.records import Confidence, Usage
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.testing.env_checks import CheckError

T = TypeVar("T")

_AT_ONCE = 8
_CANCEL_SECONDS = 5.0


def check_llm(
    make_llm: Callable[[], LLM],
    *,
    question: str = "What is 2 + 3?",
    reproducible: bool = True,
    make_broken: Callable[[], LLM] | None = None,
    seconds: float = 60.0,
) -> None:
    """Check a language model the way the environment uses it.

    Args:
        make_llm: Makes a model; called several times.
        question: The question it is asked, about twenty times.
        reproducible: Whether equal requests must get equal texts. Most servers only do that without batching.
        make_broken: Makes a model that can't work, for example without a server: its calls must fail.
        seconds: Time limit of each step of the check.

    Raises:
        CheckError: The first error found.
    """
    request = ChatRequest(
        messages=DEFAULT_PROMPTS.executor(question, None, None, "text"),
        model="",
        temperature=0.5,
        repetition_penalty=1.0,
        top_p=0.9,
        max_tokens=64,
        seed=1,
        role="executor",
        agent="executor_0",
        problem_id="check",
    )
    llm = make_llm()
    _check_object(llm)
    first = _run(llm.complete(request), seconds)
    _check_completion(first)
    _check_many(_run(_many(llm, request), seconds))  # on another event loop than before
    if reproducible:
        labelled = replace(request, agent="executor_1", problem_id="other", round_index=3)
        again = _run(llm.complete(labelled), seconds)
        _require(again.text == first.text, "equal requests must get equal texts, whatever their labels are")
    _check_pickling(llm, request, seconds)
    _run(_cancel(llm, request), seconds)
    _run(_close_twice(llm), seconds)
    if make_broken is not None:
        _check_broken(make_broken(), request, seconds)


def _require(holds: bool, repair: str) -> None:
    if not holds:
        raise CheckError(repair)


def _run(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    async def within() -> T:
        async with asyncio.timeout(seconds):
            return await coroutine

    try:
        return asyncio.run(within())
    except TimeoutError:
        raise CheckError(f"every call must end by itself, but one took longer than {seconds:g} s") from None


def _check_object(llm: LLM) -> None:
    _require(isinstance(llm, LLM), "an LLM needs the attribute info and the coroutines complete and aclose")
    info = llm.info
    _require(isinstance(info, LLMInfo), "info must be an LLMInfo")
    _require(bool(info.backend), "info.backend must name the backend")
    _require("@" not in info.where, "info.where must not hold credentials: it is written into results")


def _check_completion(done: Completion) -> None:
    _require(isinstance(done, Completion), "complete must return a Completion")
    for name, text in (("text", done.text), ("finish_reason", done.finish_reason), ("model", done.model)):
        _require(isinstance(text, str) and bool(text), f"a completion's {name} must be text and not empty")
    _require(bool(done.text.strip()), "raise LLMReplyError instead of returning an empty text")
    _require(done.text == done.text.encode("utf-8", "replace").decode(), "a text must be encodable as UTF-8")
    _require(isinstance(done.usage, Usage), "usage must be a Usage")
    _require(
        all(type(count) is int and count >= 0 for count in asdict(done.usage).values()),
        "all counts of a usage must be ints, 0 or more",
    )
    sure = done.confidence
    _require(
        sure is None or (isinstance(sure, Confidence) and sure.lowest <= sure.mean <= 0 < sure.tokens),
        "a completion's confidence must be None or a Confidence with lowest <= mean <= 0; see confidence_of",
    )
    _require(done.usage.calls == 1, "the usage of an answered call must count one call")
    _require(done.usage.cache_hits <= 1, "the usage of one call must count at most one cache hit")
    _require(pickle.loads(pickle.dumps(done)) == done, "completions must survive pickling")


async def _many(llm: LLM, request: ChatRequest) -> list[Completion]:
    requests = [replace(request, sample_index=number) for number in range(_AT_ONCE)]
    return await asyncio.gather(*(llm.complete(one) for one in requests))


def _check_many(answers: list[Completion]) -> None:
    for done in answers:
        _check_completion(done)


def _check_pickling(llm: LLM, request: ChatRequest, seconds: float) -> None:
    try:
        copied = pickle.loads(pickle.dumps(llm))
    except Exception as error:  # any error of pickle must be reported
        raise CheckError(
            f"it must survive pickling, so open connections and locks at the first call: {error}"
        ) from None
    _check_completion(_run(copied.complete(request), seconds))
    _run(copied.aclose(), seconds)


async def _cancel(llm: LLM, request: ChatRequest) -> None:
    task = asyncio.ensure_future(llm.complete(replace(request, sample_index=_AT_ONCE, bypass_cache=True)))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=_CANCEL_SECONDS)
    _require(bool(done), f"a call that is cancelled must end within {_CANCEL_SECONDS:g} s")
    if not task.cancelled() and (error := task.exception()) is not None:
        raise CheckError(f"a call that is cancelled must raise CancelledError, not {type(error).__name__}")
    _check_completion(await llm.complete(request))


async def _close_twice(llm: LLM) -> None:
    await llm.aclose()
    await llm.aclose()


def _check_broken(llm: LLM, request: ChatRequest, seconds: float) -> None:
    try:
        done = _run(llm.complete(request), seconds)
    except (LLMError, BudgetError):
        _run(llm.aclose(), seconds)
        return
    except CheckError:
        raise
    except Exception as error:  # any other kind of error must be reported
        raise CheckError(f"a call that fails must raise an LLMError, not {type(error).__name__}: {error}") from None
    raise CheckError(f"a call that fails must raise an LLMError, but it answered {done.text[:60]!r}")

"""`check_llm` lets sound models pass, and names what is wrong with each unsound one."""

import asyncio
import inspect
import threading
from dataclasses import replace

import pytest

import econ_env.testing as public
from econ_env.errors import LLMUnavailableError
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.records import Problem, Usage
from econ_env.testing import CheckError, ScriptedLLM, SimulatedLLM, check_llm

INFO = LLMInfo(backend="own", model="own", where="", json_mode=False)
GOOD = Completion("The answer is 5.", "stop", "own", Usage(calls=1, prompt_tokens=3, completion_tokens=5))


class Own:
    """A sound model; the others below differ in one thing each."""

    info = INFO

    async def complete(self, request):
        await asyncio.sleep(0)
        return GOOD

    async def aclose(self):
        pass


class Says(Own):
    def __init__(self, **changes):
        self.said = replace(GOOD, **changes)

    async def complete(self, request):
        return self.said


class ForgetsToClose:
    info = INFO
    complete = Own.complete


class Leaks(Own):
    info = replace(INFO, where="http://me:secret@host/v1")


class Nameless(Own):
    info = replace(INFO, backend="")


class NoRecord(Own):
    async def complete(self, request):
        return "The answer is 5."


class ByLabel(Own):
    async def complete(self, request):
        return replace(GOOD, text=f"The answer is 5, {request.agent}.")


class OneLoop(Own):
    lock = None

    async def complete(self, request):
        if self.lock is None:
            self.lock = asyncio.get_running_loop()
        if self.lock is not asyncio.get_running_loop():
            raise RuntimeError("another loop")
        return GOOD


class OpenedEarly(Own):
    def __init__(self):
        self.lock = threading.Lock()


class Stubborn(Own):
    async def complete(self, request):
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return GOOD
        return GOOD


class Sour(Own):
    async def complete(self, request):
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            raise LLMUnavailableError("cancelled") from None
        return GOOD


class ClosesOnce(Own):
    closed = False

    async def aclose(self):
        assert not self.closed
        self.closed = True


class Hangs(Own):
    async def complete(self, request):
        await asyncio.Event().wait()


class Gone(Own):
    async def complete(self, request):
        raise LLMUnavailableError("gone")


class Crashes(Own):
    async def complete(self, request):
        raise KeyError("choices")


def answer_five(request):
    return "The answer is 5."


@pytest.mark.parametrize(
    "make",
    [
        Own,
        lambda: ScriptedLLM(answer_five),
        lambda: SimulatedLLM([Problem("What is 2 + 3?", "5", "p")]),
    ],
)
def test_sound_models_pass(make):
    check_llm(make, make_broken=Gone)


@pytest.mark.parametrize(
    ("make", "repair"),
    [
        (ForgetsToClose, "needs the attribute info and the coroutines"),
        (Nameless, "must name the backend"),
        (Leaks, "must not hold credentials"),
        (NoRecord, "must return a Completion"),
        (lambda: Says(text=""), "text must be text and not empty"),
        (lambda: Says(text=" \n"), "raise LLMReplyError instead of returning an empty text"),
        (lambda: Says(text="5 \ud83d"), "must be encodable as UTF-8"),
        (lambda: Says(model=""), "model must be text and not empty"),
        (lambda: Says(finish_reason=None), "finish_reason must be text"),
        (lambda: Says(usage=None), "usage must be a Usage"),
        (lambda: Says(usage=Usage(calls=1, prompt_tokens=1.5)), "counts of a usage must be ints"),
        (lambda: Says(usage=Usage()), "must count one call"),
        (lambda: Says(usage=Usage(calls=1, cache_hits=2)), "at most one cache hit"),
        (ByLabel, "whatever their labels are"),
        (OpenedEarly, "must survive pickling"),
        (Sour, "must raise CancelledError, not LLMUnavailableError"),
    ],
)
def test_unsound_models_are_found_out(make, repair):
    with pytest.raises(CheckError, match=repair):
        check_llm(make)


def test_a_model_bound_to_one_loop_fails_on_the_second():
    with pytest.raises(RuntimeError, match="another loop"):
        check_llm(OneLoop)


def test_a_cancelled_call_may_have_been_answered_already():
    check_llm(Stubborn)


def test_a_model_that_closes_once_only_is_found_out():
    with pytest.raises(AssertionError):
        check_llm(ClosesOnce)


def test_a_call_that_never_ends_is_found_out():
    with pytest.raises(CheckError, match=r"took longer than 0\.1 s"):
        check_llm(Hangs, seconds=0.1)


def test_texts_may_differ_where_that_is_said():
    check_llm(ByLabel, reproducible=False)


@pytest.mark.parametrize(
    ("broken", "repair"),
    [
        (Own, "must raise an LLMError, but it answered 'The answer is 5.'"),
        (Crashes, "must raise an LLMError, not KeyError"),
    ],
)
def test_a_failure_must_be_an_error_of_the_right_kind(broken, repair):
    with pytest.raises(CheckError, match=repair):
        check_llm(Own, make_broken=broken)


def test_the_public_module_offers_what_it_lists_and_says_what_each_is_for():
    offered = {name: getattr(public, name) for name in public.__all__}
    assert all(thing.__doc__ for name, thing in offered.items() if name != "Fault")  # the names of faults have none
    own = {name for name, thing in vars(public).items() if not name.startswith("_") and not inspect.ismodule(thing)}
    assert own == set(offered)

import logging
import os
import time

import pytest

from econ_env.answers import algebra_process as process
from econ_env.answers import extract_answer, judge, same_answer
from econ_env.answers.algebra_process import ask
from econ_env.errors import JudgeError

HANG_GUARD = pytest.mark.timeout(60)

HOSTILE = {
    "tower": r"9^{9^{9^{9}}}",
    "tower in a box": r"\boxed{10^{10^{10}}}",
    "factorial": r"\boxed{100000!}",
    "factorial tower": r"\boxed{((9!)!)!}",
    "power of a sum": r"\boxed{(x+y+z+w)^{500}}",
    "integral": r"\boxed{\int_0^1 e^{x^2}\sin(x^3) dx}",
    "digits": "9" * 100_000,
    "words": "a " * 50_000,
    "numbers": "1 " * 50_000,
    "commas": "1," * 50_000,
    "or": "5 or " * 20_000,
    "boxes": r"\boxed{" * 20_000,
    "open fractions": r"\boxed{" + r"\frac{1}{" * 3000,
    "nested roots": r"\boxed{" + r"\sqrt{" * 300 + "2" + "}" * 301,
    "nested braces": r"\boxed{" + "{" * 5000 + "1" + "}" * 5001,
    "nested parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "nested tuples": r"\boxed{" + "(1," * 60 + "1" + ")" * 60 + "}",
    "nested JSON": '{"answer":' * 10_000 + "1" + "}" * 10_000,
    "nested lists": '{"answer": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "open strings": '"answer": "' * 10_000,
    "backslashes": '"answer": "' + "\\" * 50_000,
    "quotes": '"answer": "' + '"' * 50_000,
    "phrases": "the answer is " * 7_000,
    "answer colon": "answer:" * 14_000,
    "answer and newlines": "answer" + "\n" * 100_000,
    "hashes": "#### " * 20_000,
    "dollars": "$" * 100_000,
    "prices": "$5 " * 30_000,
    "steps": "Step 1: " * 12_000,
    "bars": r"\boxed{" + "|" * 300 + "}",
    "infinities": "(" + r"\infty, " * 10_000,
    "plus-minus": r"\boxed{" + r"\pm 1" * 60 + "}",
    "long matrix": r"\boxed{\begin{pmatrix}" + "1&" * 400 + r"1\end{pmatrix}}",
    "long list": r"\boxed{" + ",".join(map(str, range(500))) + "}",
    "exponent": "1e999999999",
    "control characters": "\x00\x08\x0c\ud800 18 \x7f" * 1000,
    "directions": "\u202e18\u202c",
}


@HANG_GUARD
@pytest.mark.parametrize("gold", ["7", r"\frac{\sqrt{3}}{2}", "x^2+1"])
@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_judged_like_any_other(reply, gold):
    assert judge(reply, gold).verdict in ("wrong", "no_answer")
    assert extract_answer(reply) == extract_answer(reply)


@HANG_GUARD
@pytest.mark.parametrize("text", [text for text in HOSTILE.values() if len(text) < 2000])
def test_hostile_answers_equal_themselves(text):
    assert same_answer(text, text)


@pytest.fixture
def short_limit(monkeypatch):
    """Processes that give up after a fifth of a second, and none left from before."""
    process.shutdown()
    monkeypatch.setattr(process, "TIME_LIMIT", 0.2)
    yield
    process.shutdown()


@pytest.mark.faults
@HANG_GUARD
@pytest.mark.parametrize(
    "latex",
    [
        "9^{9^{9}}",
        pytest.param(r"\sum_{k=1}^{99999999} \frac{1}{k^2+\sin k}", marks=pytest.mark.slow),
        pytest.param("(2^{999999999})!", marks=pytest.mark.slow),
    ],
)
def test_an_evaluation_without_end_is_ended_and_the_next_one_works(latex, short_limit, caplog):
    caplog.set_level(logging.INFO, logger="econ_env.answers.algebra_process")
    assert ask({"do": "value", "latex": latex}) == {}
    assert "taken as different" in caplog.text
    assert ask({"do": "value", "latex": r"\sqrt{49}"}) == {"rational": "7"}


@HANG_GUARD
@pytest.mark.faults
def test_a_process_that_was_killed_is_replaced():
    process.shutdown()
    assert ask({"do": "value", "latex": r"\sqrt{49}"}) == {"rational": "7"}
    (worker,) = process._pool._idle
    worker.process.kill()
    worker.process.wait()
    assert ask({"do": "value", "latex": r"\sqrt{64}"}) == {"rational": "8"}


@HANG_GUARD
@pytest.mark.faults
def test_no_process_is_left_behind(short_limit):
    ask({"do": "value", "latex": "9^{9^{9}}"})
    ask({"do": "value", "latex": r"\sqrt{49}"})
    pids = [worker.process.pid for worker in process._pool._idle]
    assert pids
    process.shutdown()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@HANG_GUARD
@pytest.mark.faults
def test_a_reply_that_was_interrupted_does_not_answer_the_next_question(monkeypatch):
    def interrupted(self):
        time.sleep(0.05)
        raise KeyboardInterrupt

    ask({"do": "value", "latex": r"\sqrt{49}"})
    with monkeypatch.context() as patch:
        patch.setattr(process._Worker, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask({"do": "value", "latex": r"\sqrt{64}"})
    assert ask({"do": "value", "latex": r"\sqrt{81}"}) == {"rational": "9"}


@pytest.mark.parametrize("program", ["/nonexistent/python", "false"])
def test_a_process_that_cannot_start_is_an_error_not_a_verdict(program, monkeypatch):
    process.shutdown()
    monkeypatch.setattr(process.sys, "executable", program)
    with pytest.raises(JudgeError, match="compares formulas"):
        judge(r"\boxed{\sqrt{123}}", r"\sqrt{124}")
    assert judge("18", "18").correct  # numbers need no process

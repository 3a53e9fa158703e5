import asyncio
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from econ_env.answers import DEFAULT_RULE, judge, judging, same_answer
from econ_env.answers import algebra_process as process
from econ_env.answers.formula import _same as formula_cache

PAIRS = [(rf"{n}\sqrt{{8}}", rf"{2 * n}\sqrt{{2}}") for n in range(3, 15)]


@pytest.mark.slow
def test_many_threads_get_their_own_verdicts():
    def ask(n):
        reply, gold = PAIRS[n % len(PAIRS)]
        return same_answer(reply, gold), same_answer(reply + "+1", gold)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(48))) == {(True, False)}
    assert len(process._pool._idle) <= process.MAX_PROCESSES


@pytest.mark.slow
def test_inside_a_running_event_loop():
    async def main():
        direct = [judge(rf"\boxed{{{reply}}}", gold).correct for reply, gold in PAIRS[:3]]
        threads = [asyncio.to_thread(judge, rf"\boxed{{{reply}}}", gold) for reply, gold in PAIRS]
        return direct, [judgement.correct for judgement in await asyncio.gather(*threads)]

    direct, threaded = asyncio.run(main())
    assert all(direct)
    assert all(threaded)


def _in_child(results):
    results.put((same_answer(r"\sqrt{75}", r"5\sqrt{3}"), same_answer(r"\sqrt{75}", r"5\sqrt{2}")))
    results.put([worker.process.pid for worker in process._pool._idle])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_in_daemonic_child_processes(method):
    """Such children may have no children of `multiprocessing`, and a forked one must not use its parent's process."""
    assert same_answer(r"\sqrt{27}", r"3\sqrt{3}")
    before = {worker.process.pid for worker in process._pool._idle}
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=_in_child, args=(results,), daemon=True)
    child.start()
    assert results.get(timeout=60) == (True, False)
    assert not before.intersection(results.get(timeout=60))
    child.join(60)
    assert child.exitcode == 0
    assert same_answer(r"\sqrt{48}", r"4\sqrt{3}")  # the parent's still works
    assert before <= {worker.process.pid for worker in process._pool._idle}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["", "import os; os._exit(0)", "raise SystemExit(0)", "os.kill(os.getpid(), 9)"])
def test_an_unguarded_script_leaves_nothing_behind_and_ends_quietly(ending, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            r"""
            import os
            from econ_env.answers import algebra_process as process
            from econ_env.answers import same_answer
            assert same_answer(r"\sqrt{8}", r"2\sqrt{2}")
            print(process._pool._idle[0].process.pid, flush=True)
            """
        )
        + ending
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stderr == ""
    assert done.returncode == (-9 if "kill" in ending else 0)
    assert _ends(int(done.stdout))


def _ends(pid: int) -> bool:
    """Whether the process is gone soon; its input has ended."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as file:
            if file.read().split()[2] == "Z":  # ended; whoever adopted it has not looked yet
                return True
        subprocess.run(["sleep", "0.1"], check=True)
    return False


@pytest.mark.slow
def test_importing_the_judge_loads_no_algebra():
    code = "import sys, econ_env.answers; print([m for m in ('sympy', 'math_verify', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"


def test_judging_waits_in_a_thread_only_for_formulas():
    def told(reply, gold):
        return judge(reply, gold).correct, threading.current_thread().name

    async def main():
        own = threading.current_thread().name
        plain, where = await judging(DEFAULT_RULE, told, r"\boxed{18}", "18")
        formula, thread = await judging(DEFAULT_RULE, told, *PAIRS[-1])
        return plain, where == own, formula, thread == own

    process.shutdown()
    formula_cache.cache_clear()
    assert asyncio.run(main()) == (True, True, True, False)


def test_without_waiting_a_formula_is_refused_and_nothing_is_remembered_of_it():
    formula_cache.cache_clear()
    with process.without_waiting():
        assert same_answer("0.5", "1/2")
        with pytest.raises(process.NeedsToWaitError):
            same_answer(*PAIRS[0])
    assert same_answer(*PAIRS[0])

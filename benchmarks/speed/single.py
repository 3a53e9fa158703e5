"""Measures a run of single calls, as `compare.py --methods single` makes them, against plain aiohttp.

Both are measured by the server, which runs in its own process: seconds from the first request to the last answer. The
script also judges the answers, and writes a row and a trace of each.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.speed.lines import Line, in_turns
from benchmarks.speed.team import server
from econ_env.testing import FaultyServer

ROOT = Path(__file__).parents[2]
PROBLEMS = 512
IN_FLIGHT = 64
LATENCIES = (0.2, 0.02, 0.0)
"""Seconds per call of the server; at 0 all the time is overhead of client and server."""
AIMS = {0.2: 1.25}
"""Largest ratios to plain aiohttp that are wanted, by latency."""
REPEATS = 3


def single() -> list[Line]:
    """Wall time from the first call to the last answer, with each latency.

    Raises:
        CalledProcessError: The script failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        data = place / "problems.jsonl"
        data.write_text(
            "".join(f"{_problem(number)}\n" for number in range(PROBLEMS + 1))
        )  # the last one is left for training
        with FaultyServer() as here:
            _compare(here.url, data, place / "first")
            bodies = list(here.seen.bodies)
        lines = []
        for latency in LATENCIES:
            with server(latency) as url:
                ours, plain = in_turns(
                    [partial(_ours, url, data, place / "logs"), partial(_plain, url, bodies)], REPEATS
                )
            what = f"{PROBLEMS} single calls of {latency:g} s, {IN_FLIGHT} in flight"
            lines.append(Line("single calls", what, ours, "s", "plain aiohttp", plain, "lower", AIMS.get(latency)))
        return lines


def _ours(url: str, data: Path, logs: Path) -> float:
    _seen(url)
    _compare(url, data, logs)
    return _seen(url)


def _compare(url: str, data: Path, logs: Path) -> None:
    command = [
        sys.executable, ROOT / "benchmarks" / "compare.py", "--methods", "single", "--problems", PROBLEMS,
        "--llm", url, "--dataset", data, "--no-cache", "--concurrency", IN_FLIGHT, "--log-dir", logs,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(list(map(str, command)), env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _plain(url: str, bodies: Sequence[dict[str, Any]]) -> float:
    """The same requests by a loop that does nothing else."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(client: aiohttp.ClientSession, body: dict[str, Any]) -> str:
        async with slots, client.post(f"{url}/chat/completions", json=body) as reply:
            reply.raise_for_status()
            text: str = (await reply.json())["choices"][0]["message"]["content"]
            return text

    async def everything() -> None:
        async with aiohttp.ClientSession() as client:
            await asyncio.gather(*(one(client, body) for body in bodies))

    _seen(url)
    asyncio.run(everything())
    return _seen(url)


def _seen(url: str) -> float:
    """Seconds from the first call to the last answer since the last look; the server starts counting anew."""
    look = urllib.request.Request(url.removesuffix("/v1") + "/seen", method="DELETE")
    with urllib.request.urlopen(look) as reply:
        seen = json.load(reply)
    if seen["calls"] not in (0, PROBLEMS):
        raise RuntimeError(f"the server saw {seen['calls']} calls instead of {PROBLEMS}")
    seconds: float = seen["seconds"]
    return seconds


def _problem(number: int) -> str:
    question = f"Tom has {number} apples and buys {number % 7} more. How many apples does he have now?"
    return json.dumps({"question": question, "answer": str(number + number % 7)})

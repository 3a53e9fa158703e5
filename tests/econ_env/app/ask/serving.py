"""Serves a team in this process, for tests that ask it over HTTP on this machine alone."""

import asyncio
import threading
from contextlib import contextmanager
from pathlib import Path

import openai

from econ_env.app.ask.serve import ServedTeam, listening
from econ_env.app.ask.solver import QuestionTeam, known_problems
from econ_env.app.run_config import load_run_config
from econ_env.problems.load import load_problems

PROBLEMS = load_problems("bundled:1", split="test", limit=12)


@contextmanager
def served(solver, key=None, name="econ", origins=frozenset(), words="auto"):
    """The team's base URL while it is served by a thread of its own."""
    ready, box = threading.Event(), {}

    async def main():
        box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with listening(ServedTeam(solver, name, key, origins, words), "127.0.0.1", 0) as url:
            box["url"] = url
            ready.set()
            await box["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield box["url"]
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join()


def a_client(url, key="any"):
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def a_solver(small, checkpoint=None, *assignments):
    config = load_run_config(Path(small[1]), ["env_args.dataset_split=test", *assignments])
    solver = QuestionTeam(config, checkpoint, known_problems(config))
    solver.prepare()
    return solver


def ask(client, question, **more):
    return client.chat.completions.create(model="econ", messages=[{"role": "user", "content": question}], **more)

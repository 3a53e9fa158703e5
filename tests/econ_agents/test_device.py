"""The learner on another device than the CPU: everything moves there, and nothing that leaves it needs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from elsewhere import ELSEWHERE
from teams import make_spec, observations, replayed, small

from econ_agents import train as training
from econ_agents.algorithm import EconAlgorithm, EconTrainingStats
from econ_agents.checkpoint import load_checkpoint
from econ_agents.config import AgentConfig, EquilibriumConfig
from econ_agents.device import CPU, device_of, find_device
from econ_agents.errors import ConfigError
from econ_agents.policy import EconPolicy
from econ_agents.testing import QuadraticEnv
from econ_agents.together import Together
from econ_agents.train import train
from econ_agents.trial import Trial
from econ_agents.workers.workers import _on_cpu

DEVICES = (CPU, ELSEWHERE)


def policy_on(device: torch.device, n_agents: int = 3, **changes: Any) -> EconPolicy:
    torch.manual_seed(0)
    return EconPolicy(make_spec(n_agents), small(**changes), (0.4, 0.4, 0.2)).to(device)


def assert_equal(one: EconPolicy, other: EconPolicy) -> None:
    """Both choose and value alike; parameters without effect may differ, since Adam scales up rounding errors."""
    with torch.no_grad():
        obs_BND = observations(one.spec, 8) if one.spec.layout else torch.rand(8, one.spec.n_agents, one.spec.obs_dim)
        looks = [policy.network.eval()(obs_BND.to(device_of(policy))) for policy in (one, other)]
    for mine, theirs in zip(*looks, strict=True):
        torch.testing.assert_close(mine.cpu(), theirs.cpu(), atol=1e-3, rtol=1e-3)
    assert one.alpha.values() == pytest.approx(other.alpha.values(), abs=1e-5)


# The stand-in ---------------------------------------------------------------------------------------------------------


def test_the_stand_in_computes_but_mixes_with_nothing() -> None:
    there = torch.arange(3.0).to(ELSEWHERE)
    assert there.device == (there + 1).device == ELSEWHERE
    assert (there * there).cpu().tolist() == [0.0, 1.0, 4.0]
    with pytest.raises(RuntimeError, match="mixes devices"):
        there + torch.ones(3)


# The device that a setting means --------------------------------------------------------------------------------------


def test_auto_is_the_cpu() -> None:
    assert find_device("auto") == find_device("cpu") == CPU
    assert AgentConfig().device == "auto"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"cuda": torch.cuda, "mps": torch.backends.mps}
    monkeypatch.setattr(places[name], "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"there is no device {name}"):
        find_device(name)
    with pytest.raises(ConfigError, match=f"there is no device {name}"):
        train(QuadraticEnv, small(device=name), episodes=4)
    monkeypatch.setattr(places[name], "is_available", lambda: True)
    assert find_device(name) == torch.device(name)


# Learning -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_agents", "changes"),
    [(3, {}), (9, {}), (3, {"network": {"shared": False}}), (3, {"replay": {"prioritized": True}})],
)
def test_gradient_steps_are_those_of_the_cpu(n_agents: int, changes: dict[str, Any]) -> None:
    def learn(device: torch.device) -> tuple[EconPolicy, EconTrainingStats]:
        policy = policy_on(device, n_agents, alpha={"learn": True}, **changes)
        algorithm = EconAlgorithm(policy)
        algorithm.train()
        torch.manual_seed(1)
        for seed in range(2):
            batch = replayed(policy.spec, seed=seed)
            if "replay" in changes:
                batch.weight = np.ones(8)
            stats = algorithm._update_with_batch(batch)
            if "replay" in changes:
                assert np.asarray(batch.weight).dtype == np.float64  # as the buffer keeps priorities
        return policy, stats

    (here, stats), (there, others) = learn(CPU), learn(ELSEWHERE)
    assert device_of(there) == ELSEWHERE
    known = {name: value for name, value in vars(stats).items() if value is not None}
    assert {name: value for name, value in vars(others).items() if value is not None} == {
        name: pytest.approx(value, rel=1e-3, abs=1e-5) for name, value in known.items()
    }
    assert_equal(there, here)


@pytest.mark.parametrize("n_agents", [3, 9])
def test_decisions_are_those_of_the_cpu(n_agents: int) -> None:
    async def decide(device: torch.device) -> list[torch.Tensor]:
        policy = policy_on(device, n_agents).eval()
        together = Together(policy, EquilibriumConfig())
        (obs_1ND,) = observations(policy.spec, 1).split(1)
        first = await together.propose(obs_1ND)
        response = await together.respond(obs_1ND, [first])
        before, after = await together.gaps(obs_1ND, first, response)
        together.close()
        return [first, response, *before, *after]

    here, there = (asyncio.run(decide(device)) for device in DEVICES)
    for one, other in zip(here, there, strict=True):
        assert other.device == CPU
        torch.testing.assert_close(other, one, atol=1e-2, rtol=0)


@pytest.mark.slow
def test_a_run_there_is_saved_loaded_and_continued_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def env() -> QuadraticEnv:
        return QuadraticEnv(low=0.5, high=2.5)

    config = small(bne={"max_iterations_train": 2})
    here = train(env, config, episodes=8)
    monkeypatch.setattr(training, "find_device", {"mps": ELSEWHERE}.__getitem__)
    there = train(env, small(bne={"max_iterations_train": 2}, device="mps"), episodes=8, model_dir=tmp_path)
    assert device_of(there.policy) == ELSEWHERE
    assert_equal(there.policy, here.policy)

    kept = load_checkpoint(tmp_path / "final")
    assert {type(tensor) for tensor in kept.tensors.values()} == {torch.Tensor}
    loaded = EconPolicy.from_pretrained(tmp_path / "final")
    assert device_of(loaded) == CPU
    assert_equal(loaded, there.policy)

    monkeypatch.setattr(training, "find_device", {"auto": CPU}.__getitem__)
    on = train(env, config, episodes=12, model_dir=tmp_path, resume=True)
    assert (on.episodes, device_of(on.policy)) == (12, CPU)
    assert_equal(on.policy, train(env, config, episodes=12).policy)


def test_workers_get_networks_that_any_machine_can_load() -> None:
    trial = Trial(policy_on(ELSEWHERE), rounds=2)
    assert device_of(_on_cpu(trial).policy) == CPU
    assert device_of(trial.policy) == ELSEWHERE
    assert _on_cpu(trial).rounds == 2
    here = Trial(policy_on(CPU))
    assert _on_cpu(here) is here

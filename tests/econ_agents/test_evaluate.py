"""Test episodes: same results whatever the order and concurrency, streamed, with errors where they belong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from teams import small
from torch import Tensor

from econ_agents.equilibrium import EquilibriumConfig
from econ_agents.errors import ConfigError
from econ_agents.evaluate import evaluate, evaluate_each
from econ_agents.joint_env import JointEnv
from econ_agents.policy import EconPolicy
from econ_agents.testing import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv, QuadraticPolicy
from econ_agents.trial import EpisodeResult, Trial

torch.set_num_threads(1)
NEVER = EquilibriumConfig(convergence_threshold=0.0)


class RandomControl:
    """Draws controls; one copy per episode."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def propose(self, obs_BND: Tensor) -> Tensor:
        return 2.0 * torch.rand(*obs_BND.shape[:2], 2, generator=self.generator) - 1.0

    def seeded(self, seed: int) -> RandomControl:
        return RandomControl(seed)


class FixedControl:
    """Always the same controls."""

    def propose(self, obs_BND: Tensor) -> Tensor:
        return torch.full((*obs_BND.shape[:2], 2), 0.25)


class Failing(AsyncQuadraticEnv):
    """The third problem can't be played."""

    async def adeliberate(self, actions: Any) -> Any:
        if self.problem == 2:
            raise ConnectionError("server gone")
        return await super().adeliberate(actions)

    async def areset(self, seed: Any = None, options: Any = None) -> Any:
        self.problem = options["problem"]
        return await super().areset(seed, options)


def test_a_result_tells_how_it_came_about() -> None:
    make = lambda: QuadraticEnv(low=0.0, high=4.0)  # noqa: E731 # a factory
    (result,) = evaluate(Trial(QuadraticPolicy(start=0.5), rounds=3, config=NEVER), make, [7])
    (decision,) = result.decisions
    inner = make()
    inner.reset(options={"problem": 7})
    env = JointEnv(inner)
    profiles = np.array([env.from_env(np.ravel(profile)) for profile in decision.profiles])
    assert decision.rounds == 3
    assert decision.stop_reason == "max_rounds"
    assert decision.profiles[0] == [[3.0, 3.0]] * 3
    # Each profile is the best response to the one before.
    for k in (1, 2):
        others = (profiles[k - 1].sum(0) - profiles[k - 1]) / 2
        assert profiles[k] == pytest.approx(np.clip(inner.game.centre_BNA[0].numpy() + 0.5 * others, -1, 1), abs=1e-4)
        assert decision.residuals[k - 1] == pytest.approx(np.abs(profiles[k] - profiles[k - 1]).max(), abs=1e-5)
    last = torch.as_tensor(profiles[-1])[None]
    paid = inner.game.utilities(last, last[:, :, None]).flatten().tolist()
    assert decision.agent_rewards == pytest.approx(paid, abs=1e-5)
    assert result.reward == decision.reward == pytest.approx(np.mean(paid), abs=1e-5)
    # Nobody could earn more than 0 here: the gain is what is missing.
    assert decision.gap_after == pytest.approx([-u for u in paid], abs=1e-4)
    assert decision.gap_before is not None
    assert sum(decision.gap_before) > sum(decision.gap_after)
    assert decision.answers == [f"{float(p.mean()):.6f}" for p in profiles]
    assert decision.numbers["rounds"] == 3.0
    assert decision.numbers["valid"] == [1.0] * 3
    assert (result.problem, result.failed, result.error) == (7, False, None)


def test_a_policy_is_refined_as_it_was_trained_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    bne = {"damping": 0.25, "convergence_threshold": 0.0}
    policy = EconPolicy(JointEnv(QuadraticEnv()).team, small(bne=bne))
    own, same, other = (
        evaluate(Trial(policy, config=config), QuadraticEnv, [0, 1]) for config in (None, policy.config.bne, NEVER)
    )
    assert own == same != other


def test_results_are_plain_values() -> None:
    results = evaluate(Trial(QuadraticPolicy()), QuadraticEnv, [0, 1])
    assert json.loads(json.dumps([asdict(result) for result in results]))[1]["problem"] == 1


def test_one_round_is_no_refinement() -> None:
    (result,) = evaluate(Trial(QuadraticPolicy(start=0.25), rounds=1), QuadraticEnv, [0])
    (decision,) = result.decisions
    assert decision.profiles == [[[0.25, 0.25]] * 3]
    assert decision.residuals == []
    assert decision.gap_before == decision.gap_after
    (fixed,) = evaluate(Trial(FixedControl(), rounds=1), QuadraticEnv, [0])
    assert fixed.reward == result.reward
    assert fixed.decisions[0].gap_after is None
    (unmeasured,) = evaluate(Trial(QuadraticPolicy(start=0.25), rounds=1, gaps=False), QuadraticEnv, [0])
    assert unmeasured.decisions[0].gap_after is None


def test_rounds_bring_the_gap_down_and_none_is_paid_twice() -> None:
    gaps = []
    for rounds in (1, 2, 4):
        env = AsyncQuadraticEnv()
        results = evaluate(
            Trial(QuadraticPolicy(), rounds=rounds, config=NEVER), lambda env=env: env, range(5), concurrency=1
        )
        assert env.rounds_played == 5 * rounds
        gaps.append(np.mean([sum(result.decisions[0].gap_after or []) for result in results]))
    assert gaps[0] > gaps[1] > gaps[2]


@pytest.mark.parametrize("policy", [QuadraticPolicy(), RandomControl()])
@pytest.mark.parametrize("env", [QuadraticEnv, AsyncQuadraticEnv])
def test_neither_order_nor_concurrency_matters(policy: Any, env: Any) -> None:
    rounds = 2 if hasattr(policy, "game") else 1
    expected = {r.problem: r for r in evaluate(Trial(policy, rounds=rounds), env, range(6), concurrency=1, seed=4)}
    assert len({result.seed for result in expected.values()}) == 6
    for problems, concurrency in ((range(6), 6), ([5, 1, 3, 0], 2)):
        got = evaluate(Trial(policy, rounds=rounds), env, problems, concurrency=concurrency, seed=4)
        assert got == [expected[problem] for problem in problems]
    other = evaluate(Trial(policy, rounds=rounds), env, [0], seed=5)
    assert other[0].seed != expected[0].seed
    if rounds == 1:
        assert other[0].decisions != expected[0].decisions


def test_without_keeping_anything_the_results_are_the_same_and_problems_are_taken_as_there_is_room() -> None:
    expected = evaluate(Trial(QuadraticPolicy(), rounds=2), AsyncQuadraticEnv, range(20), seed=4)
    taken, seen = [], []

    def numbers() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            assert len(taken) - len(seen) <= 3
            yield number

    def note(result: EpisodeResult, env: AsyncQuadraticEnv) -> None:
        assert isinstance(env, AsyncQuadraticEnv)
        seen.append(result)

    evaluate_each(Trial(QuadraticPolicy(), rounds=2), AsyncQuadraticEnv, numbers(), note, concurrency=3, seed=4)
    assert sorted(seen, key=lambda result: result.problem) == expected
    evaluate_each(Trial(QuadraticPolicy()), lambda: pytest.fail("no environment is needed"), [], note)
    assert len(seen) == 20


def test_as_many_are_in_flight_as_asked_for_on_as_many_environments() -> None:
    made: list[AsyncQuadraticEnv] = []
    flying: set[int] = set()
    most = 0

    class Counted(AsyncQuadraticEnv):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        async def adeliberate(self, actions: Any) -> Any:
            nonlocal most
            flying.add(id(self))
            most = max(most, len(flying))
            await asyncio.sleep(0.005)
            flying.discard(id(self))
            return await super().adeliberate(actions)

    evaluate(Trial(QuadraticPolicy()), Counted, range(12), concurrency=4)
    assert most == 4
    assert len(made) == 4


def test_results_are_handed_out_as_they_come_with_the_environment_that_shows_them() -> None:
    seen: list[EpisodeResult] = []

    class Slow(AsyncQuadraticEnv):
        async def astep(self, actions: Any) -> Any:
            while self.problem == 0 and len(seen) < 3:  # until the others are done
                await asyncio.sleep(0)
            return await super().astep(actions)

        async def areset(self, seed: Any = None, options: Any = None) -> Any:
            self.problem = options["problem"]
            return await super().areset(seed, options)

    def note(result: EpisodeResult, env: Slow) -> None:
        assert env.problem == result.problem
        seen.append(result)

    results = evaluate(Trial(QuadraticPolicy()), Slow, range(4), concurrency=2, on_episode=note)
    assert [result.problem for result in seen] == [1, 2, 3, 0]
    assert [result.problem for result in results] == [0, 1, 2, 3]


def test_several_decisions_each_have_their_rounds() -> None:
    (result,) = evaluate(Trial(QuadraticPolicy(), rounds=2, config=NEVER), lambda: QuadraticEnv(horizon=3), [0])
    assert [decision.rounds for decision in result.decisions] == [2, 2, 2]
    assert result.reward == pytest.approx(sum(decision.reward for decision in result.decisions))


def test_stop_reasons_are_told() -> None:
    reasons = [
        evaluate(Trial(QuadraticPolicy(), rounds=9), lambda: QuadraticEnv(digits=0), [0])[0].decisions[0].stop_reason,
        evaluate(Trial(QuadraticPolicy(), rounds=50), QuadraticEnv, [0])[0].decisions[0].stop_reason,
    ]
    assert reasons == ["commitment_repeated", "small_change"]


def test_environments_without_deliberation_are_refined_within_the_policy() -> None:
    class Meeting(FixedControl):
        def game(self, obs_BND: Tensor) -> Any:
            return QuadraticPolicy(coupling=0.0).game(obs_BND * 0.6 + torch.tensor([-0.3, 0.0, 0.3])[None, :, None])

    plain = evaluate(Trial(Meeting(), rounds=1), CoordinationEnv, range(3))
    refined = evaluate(Trial(Meeting(), rounds=3, config=EquilibriumConfig()), CoordinationEnv, range(3))
    assert max(result.reward for result in plain) < 0.99
    assert [result.reward for result in refined] == pytest.approx([1.0] * 3, abs=1e-4)
    assert refined[0].decisions[0].answers == []
    assert len(refined[0].decisions[0].profiles) == 2


def test_a_policy_without_a_game_has_one_round() -> None:
    with pytest.raises(ConfigError, match="rounds=1"):
        evaluate(Trial(FixedControl(), rounds=3), QuadraticEnv, [0])
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(Trial(FixedControl(), rounds=1), QuadraticEnv, [0], concurrency=0)


def test_an_error_that_can_be_borne_ends_its_episode_only() -> None:
    seen: list[int] = []
    results = evaluate(
        Trial(QuadraticPolicy(), recoverable=(ConnectionError,)),
        Failing,
        range(4),
        on_episode=lambda result, env: seen.append(result.problem),
    )
    assert [result.failed for result in results] == [False, False, True, False]
    assert results[2].error == "ConnectionError: server gone"
    assert results[2].decisions == []
    assert sorted(seen) == [0, 1, 2, 3]
    assert results[3] == evaluate(Trial(QuadraticPolicy()), AsyncQuadraticEnv, [3])[0]


def test_any_other_error_ends_the_run_with_nothing_left_running() -> None:
    closed: list[bool] = []
    cancelled: list[int] = []

    class Waiting(Failing):
        async def astep(self, actions: Any) -> Any:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(self.problem)
                raise

        async def adeliberate(self, actions: Any) -> Any:
            while self.problem == 2 and len(waiting) < 2:
                await asyncio.sleep(0)
            if self.problem != 2:
                waiting.add(self.problem)
            return await super().adeliberate(actions)

        def close(self) -> None:
            closed.append(True)

    waiting: set[int] = set()
    with pytest.raises(ConnectionError):
        evaluate(Trial(QuadraticPolicy(), rounds=1), Waiting, range(3), concurrency=3)
    assert set(cancelled) <= {0, 1}
    assert len(closed) == 3


def test_an_error_of_the_callback_ends_the_run() -> None:
    def full(result: EpisodeResult, env: Any) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        evaluate(Trial(QuadraticPolicy()), AsyncQuadraticEnv, range(3), on_episode=full)


def test_a_decision_without_anything_valid_is_a_failed_episode() -> None:
    class Hopeless(QuadraticEnv):
        @property
        def last_outcome(self) -> Any:
            said = super().last_outcome
            return None if said is None else said._replace(answer=None, failed=True)

        def _info(self, rewards: list[float]) -> dict[str, Any]:
            return {**super()._info(rewards), "failed": 1.0}

    (result,) = evaluate(Trial(QuadraticPolicy()), Hopeless, [0])
    assert result.failed
    assert result.error is None
    assert result.decisions[0].stop_reason == "all_invalid"
    assert result.decisions[0].rounds == 1


def test_networks_are_tested_in_evaluation_mode_and_put_back() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modes: list[bool] = []

        def propose(self, obs_BND: Tensor) -> Tensor:
            self.modes.append(self.training)
            assert not torch.is_grad_enabled()
            return torch.zeros(*obs_BND.shape[:2], 2)

    network = Network().train()
    evaluate(Trial(network, rounds=1), QuadraticEnv, [0, 1])
    assert network.modes
    assert not any(network.modes)
    assert network.training


def test_it_works_inside_a_running_loop() -> None:
    async def inside() -> list[EpisodeResult]:
        return evaluate(Trial(QuadraticPolicy()), AsyncQuadraticEnv, [0])

    assert asyncio.run(inside()) == evaluate(Trial(QuadraticPolicy()), AsyncQuadraticEnv, [0])


def test_wall_time_is_no_part_of_a_comparison() -> None:
    (result,) = evaluate(Trial(QuadraticPolicy()), QuadraticEnv, [0])
    assert result.seconds > 0
    assert replace(result, seconds=99.0) == result

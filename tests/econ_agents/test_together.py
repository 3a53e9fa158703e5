"""Episodes that decide together get the numbers that each would get alone, to the bit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch
from teams import SIZES, make_spec, observations, small
from torch import Tensor

from econ_agents.baselines import FixedControls
from econ_agents.config import EquilibriumConfig
from econ_agents.equilibrium import respond
from econ_agents.passes import TRIALS, Kind, rows_of_a_pass, rows_tried
from econ_agents.policy import EconPolicy
from econ_agents.together import Together

EPISODES = 10


def make(n_agents: int) -> EconPolicy:
    torch.manual_seed(0)
    return EconPolicy(make_spec(n_agents), small(), seed=0)


async def decide(together: Together, obs_1ND: Tensor) -> list[Tensor]:
    first = await together.propose(obs_1ND)
    profiles = [first]
    for _ in range(2):
        profiles.append(await together.respond(obs_1ND, profiles))
    before, after = await together.gaps(obs_1ND, first, profiles[-1])
    return [*profiles, before.action_BNA, before.gain_BN, after.gain_BN, after.utility_BN]


COOLING = EquilibriumConfig(response="logit", temperature=1.0, temperature_end=1e-3)
BY_STATE = EquilibriumConfig(temperature="state")


def play(policy: Any, rows: list[Tensor], late: int = 0, config: EquilibriumConfig | None = None) -> list[list[Tensor]]:
    async def run() -> list[list[Tensor]]:
        together = Together(policy, config or EquilibriumConfig())

        async def one(place: int) -> list[Tensor]:
            for _ in range(place % (late + 1)):  # some come while others are being served
                await asyncio.sleep(0.001)
            return await decide(together, rows[place])

        try:
            return list(await asyncio.gather(*(one(place) for place in range(len(rows)))))
        finally:
            together.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("n_agents", "config"), [*((n, EquilibriumConfig()) for n in SIZES), (3, COOLING), (3, BY_STATE)]
)
def test_numbers_depend_on_no_other_episode(n_agents: int, config: EquilibriumConfig) -> None:
    policy = make(n_agents)
    rows = list(observations(policy.spec, EPISODES).split(1))
    alone = [play(policy, [row], 0, config)[0] for row in rows]
    for order, late in ((range(EPISODES), 0), (reversed(range(EPISODES)), 3), (range(1, EPISODES, 3), 1)):
        places = list(order)
        for place, got in zip(places, play(policy, [rows[place] for place in places], late, config), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(got, alone[place], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(alone[0], alone[1], strict=True))


class Placed(torch.nn.Module):
    """A policy whose game depends on a row's place, far below what a best response shows."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step, self.passes = step, 0

    def propose(self, obs_RND: Tensor) -> Tensor:
        return obs_RND[..., :2]

    def game(self, obs_RND: Tensor) -> Placed:
        self.passes += 1
        return self

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        places_B = torch.arange(len(profile_BNA)) * self.step
        near_BNM = -(candidates_BNMA - 0.3).pow(2).sum(-1)
        # Only a candidate that no agent would choose is computed otherwise.
        return torch.where(near_BNM < -1.0, near_BNM - places_B[:, None, None], near_BNM)


KINDS: dict[Kind, int] = {"respond": 1, "gap": 1, "gaps": 2}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0.0, 1e-3])
def test_where_a_rows_place_counts_passes_have_one_row(kind: Kind, step: float) -> None:
    policy, shapes = Placed(step), [torch.Size((1, 3, 5)), *[torch.Size((1, 3, 2))] * KINDS[kind]]
    for _ in range(2):
        size = rows_tried(policy, EquilibriumConfig(), kind, shapes, torch.device("cpu"))
        assert size == (rows_of_a_pass(3) if step == 0 else 1)
    assert policy.passes == (TRIALS if step == 0 else 1)  # it is tried out once


class Telling(Placed):
    """A policy whose controls and what it tells depend on a row's place, but not for noise."""

    listens = True

    def propose(self, obs_RND: Tensor) -> Tensor:
        return self.hear(obs_RND)[0][..., None].expand(-1, -1, 2)

    def hear(self, obs_RND: Tensor) -> tuple[Tensor, Tensor]:
        places_R = torch.arange(len(obs_RND)) * (obs_RND[:, 0, 0] > 1.0)
        return obs_RND[..., 0] + 1e-3 * places_R[:, None], obs_RND[..., 1]


def test_what_is_told_of_an_episode_and_follows_from_it_depends_on_no_other() -> None:
    rows = list((torch.rand(EPISODES, 3, 5) + 1.0).split(1))

    async def run() -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        together = Together(Telling(0.0), EquilibriumConfig())
        together.prepare(["hear", "propose"], 3, 5, 2)
        try:
            told = await asyncio.gather(*map(together.hear, rows))
            return list(told), list(await asyncio.gather(*map(together.propose, rows)))
        finally:
            together.close()

    for (right_1N, gain_1N), act_1NA, row in zip(*asyncio.run(run()), rows, strict=True):
        assert torch.equal(right_1N, row[..., 0])
        assert torch.equal(gain_1N, row[..., 1])
        assert torch.equal(act_1NA, row[..., :1].expand(-1, -1, 2))


def test_rows_are_tried_before_the_first_pass_waits_for_it() -> None:
    policy = make(3)
    obs_1ND = observations(policy.spec, 1)

    async def run() -> None:
        together = Together(policy, EquilibriumConfig())
        together.prepare(["propose", "gap"], 3, policy.spec.obs_dim, 2)
        sizes = dict(together._sizes)
        assert set(sizes) == {"propose", "gap"}
        profile_1NA = await together.propose(obs_1ND)
        await together.gaps(obs_1ND, profile_1NA, profile_1NA)
        assert together._sizes == sizes
        together.prepare(["gaps"], 3, policy.spec.obs_dim, 2)
        together.close()
        assert together._sizes["gaps"].cancelled()

    asyncio.run(run())


def test_it_decides_as_the_policy_and_its_game_do() -> None:
    policy = make(3)
    obs_BND = observations(policy.spec, EPISODES)
    played = play(policy, list(obs_BND.split(1)))
    with torch.no_grad():
        proposed = policy.propose(obs_BND)
        response = respond(policy.game(obs_BND), proposed, EquilibriumConfig())
    torch.testing.assert_close(torch.cat([tensors[0] for tensors in played]), proposed)
    torch.testing.assert_close(torch.cat([tensors[1] for tensors in played]), response, atol=1e-3, rtol=0)


def test_each_response_has_the_temperature_of_its_number() -> None:
    policy = make(3)
    obs_BND = observations(policy.spec, EPISODES)
    played = play(policy, list(obs_BND.split(1)), 0, COOLING)
    with torch.no_grad():
        profile_BNA, game = policy.propose(obs_BND), policy.game(obs_BND)
        for number in range(2):
            profile_BNA = respond(game, profile_BNA, COOLING, number)
            found = torch.cat([tensors[1 + number] for tensors in played])
            torch.testing.assert_close(found, profile_BNA, atol=1e-5, rtol=0)
    assert not torch.equal(profile_BNA, respond(game, profile_BNA, COOLING, 0))


def test_many_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, sizes = make(3), []
    propose = policy.propose

    def counted(obs_RND: Tensor) -> Tensor:
        sizes.append(len(obs_RND))
        return propose(obs_RND)

    monkeypatch.setattr(policy, "propose", counted)
    play(policy, list(observations(policy.spec, EPISODES).split(1)))
    assert sizes == [rows_of_a_pass(3)] * (TRIALS + -(-EPISODES // rows_of_a_pass(3)))


def test_a_policy_without_networks_is_asked_for_each_episode_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, sizes = FixedControls(make_spec(3), [0.5, 1.25]), []
    propose = policy.propose

    def counted(obs_BND: Tensor) -> Tensor:
        sizes.append(len(obs_BND))
        return propose(obs_BND)

    monkeypatch.setattr(policy, "propose", counted)

    async def run() -> list[Tensor]:
        together = Together(policy, EquilibriumConfig())
        return list(await asyncio.gather(*(together.propose(torch.zeros(1, 3, 4)) for _ in range(5))))

    assert all(torch.equal(profile, policy.profile_NA[None]) for profile in asyncio.run(run()))
    assert sizes == [1] * 5


def test_an_error_reaches_every_episode_of_its_pass_and_later_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make(3)
    rows = list(observations(policy.spec, 3).split(1))

    async def run() -> None:
        together = Together(policy, EquilibriumConfig())
        with monkeypatch.context() as patch:
            patch.setattr(policy, "propose", lambda obs_RND: 1 / 0)
            caught = await asyncio.gather(*map(together.propose, rows), return_exceptions=True)
            assert [type(error) for error in caught] == [ZeroDivisionError] * 3
        assert (await together.propose(rows[0])).shape == (1, 3, 2)
        together.close()

    asyncio.run(run())

"""Logit responses: settings, weights, falling temperatures, and the quantal equilibria that they end in."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from econ_agents.config import BneConfig, parse_config
from econ_agents.equilibrium import EquilibriumConfig, RefinementResult, Refiner, refine
from econ_agents.errors import ConfigError
from econ_agents.responses import logit_response, respond
from econ_agents.responses.logit import state_temperature
from econ_agents.testing import MatchingPennies, QuadraticGame, VolunteersDilemma

torch.set_num_threads(1)
quick = settings(max_examples=30, deadline=None)


def logit(temperature: float, **changes: Any) -> EquilibriumConfig:
    """Two candidates, -1 and 1, and stop rules that only a fixed point or the last round meets."""
    values = {"grid_size": 2, "convergence_threshold": 1e-9, "oscillation_window": 0, "temperature": temperature}
    return EquilibriumConfig(response="logit", **{**values, **changes})


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "response", "temperature"),
    [
        ({}, "best", None),
        ({"temperature": 0.5}, "logit", 0.5),
        ({"temperature": 0.0}, "best", None),
        ({"temperature": 0}, "best", None),
        ({"response": "logit"}, "logit", 0.05),
        ({"response": "logit", "temperature": 0.3}, "logit", 0.3),
        ({"response": "best", "temperature": 0.3}, "best", None),
        ({"temperature": "state"}, "logit", "state"),
        ({"temperature": "0.5"}, "logit", 0.5),
        ({"response": "best", "temperature": "state"}, "best", None),
    ],
)
def test_what_settings_mean(values: dict[str, Any], response: str, temperature: float | str | None) -> None:
    for config in (EquilibriumConfig(**values), BneConfig(**values), parse_config({"bne": values}).bne):
        assert config.response == response
        assert config.logit_temperature(0) == config.logit_temperature(7) == temperature
        assert type(config).model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"response": "logit", "temperature": 0.0}, "temperature must be a number greater than 0, or state, got 0.0"),
        ({"temperature": -0.1}, "temperature must be a number greater than 0, or state, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be a number greater than 0, or state, got nan"),
        ({"temperature": "stat"}, "temperature must be a number greater than 0, or state, got 'stat'"),
        ({"temperature": None}, "temperature must be a number greater than 0, or state, got None"),
        ({"temperature": False}, "must be a number, not true or false"),
        ({"temperature": True}, "must be a number, not true or false"),
        ({"temperature": "state", "temperature_end": 0.1}, "temperature_end goes with a number as temperature"),
        ({"temperature": "state", "temperature_share": 0}, r"bne\.temperature_share: .*greater than 0"),
        ({"temperature": 0.1, "temperature_end": 0.2}, "temperature_end must be at most temperature, got 0.2 and 0.1"),
        ({"response": "quantal"}, r"bne\.response: .*'best' or 'logit'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_config({"bne": values})


def test_the_temperature_halves_with_each_response_down_to_its_end() -> None:
    config = EquilibriumConfig(temperature=0.8, temperature_end=0.15)
    assert [config.logit_temperature(number) for number in range(5)] == pytest.approx([0.8, 0.4, 0.2, 0.15, 0.15])


# Weights -------------------------------------------------------------------------------------------------------------


class Given:
    """Candidates are worth their first control times a slope."""

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        return 3.0 * candidates_BNMA[..., 0]


@quick
@given(st.floats(0.01, 100.0), st.integers(2, 7))
def test_weights_are_chances_in_the_order_of_payoffs_and_even_at_high_temperature(temperature: float, g: int) -> None:
    config = EquilibriumConfig(grid_size=g, temperature=temperature)
    found = logit_response(Given(), torch.zeros(2, 3, 1, dtype=torch.float64), config)
    assert found.weight_BNM.shape == (2, 3, g)
    torch.testing.assert_close(found.candidates_MA.flatten(), torch.linspace(-1, 1, g, dtype=torch.float64))
    torch.testing.assert_close(found.weight_BNM.sum(-1), torch.ones(2, 3, dtype=torch.float64))
    assert (found.weight_BNM.diff(dim=-1) >= 0).all()
    # Neighbours differ by 6 / (g - 1) in payoff, so their odds by exp of that over the temperature.
    odds = torch.log(found.weight_BNM[..., -1] / found.weight_BNM[..., -2])
    torch.testing.assert_close(odds, torch.full_like(odds, 6.0 / (g - 1) / temperature))
    even = logit_response(Given(), torch.zeros(2, 3, 1, dtype=torch.float64), config, temperature=1e6)
    torch.testing.assert_close(even.weight_BNM, torch.full_like(even.weight_BNM, 1.0 / g), atol=1e-5, rtol=0)


def test_draws_follow_the_weights_and_the_seed() -> None:
    config = EquilibriumConfig(grid_size=2, temperature=3.0)  # odds exp(2)
    mixed = logit_response(Given(), torch.zeros(500, 8, 1, dtype=torch.float64), config)
    drawn_BNA = mixed.draw(torch.Generator().manual_seed(1))
    assert drawn_BNA.shape == (500, 8, 1)
    assert {*drawn_BNA.flatten().tolist()} == {-1.0, 1.0}
    # 4000 draws: five standard errors are 0.05.
    assert drawn_BNA.mean().item() == pytest.approx(mixed.mean_BNA[0, 0, 0].item(), abs=0.05)
    assert torch.equal(drawn_BNA, mixed.draw(torch.Generator().manual_seed(1)))
    assert not torch.equal(drawn_BNA, mixed.draw(torch.Generator().manual_seed(2)))


def test_the_mean_lies_between_two_peaks_and_the_best_response_does_not() -> None:
    class TwoPeaks:
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            return candidates_BNMA[..., 0].abs() + 1e-3 * candidates_BNMA[..., 0]

    at_BNA = torch.zeros(1, 1, 1, dtype=torch.float64)
    mixed = logit_response(TwoPeaks(), at_BNA, EquilibriumConfig(grid_size=3, temperature=0.1))
    assert abs(mixed.mean_BNA.item()) < 0.02
    assert mixed.candidates_MA[mixed.weight_BNM.argmax()] == 1.0
    assert respond(TwoPeaks(), at_BNA, EquilibriumConfig(grid_size=3)).item() == 1.0
    assert {*mixed.draw(torch.Generator().manual_seed(0)).flatten().tolist()} <= {-1.0, 1.0}


# Temperatures that the state chooses ----------------------------------------------------------------------------------


class Table:
    """Payoffs [B, N, M] that are given, whatever is played."""

    def __init__(self, utility_BNM: Tensor) -> None:
        self.utility_BNM = utility_BNM

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        return self.utility_BNM.expand(candidates_BNMA.shape[:3])


def by_state(share: float, candidates: int) -> EquilibriumConfig:
    return EquilibriumConfig(temperature="state", temperature_share=share, grid_size=candidates)


def weights_at(payoffs: list[float], share: float) -> Tensor:
    utility_BNM = torch.tensor([[payoffs]], dtype=torch.float64)
    at_BNA = torch.zeros(1, 1, 1, dtype=torch.float64)
    return logit_response(Table(utility_BNM), at_BNA, by_state(share, len(payoffs))).weight_BNM[0, 0]


def test_the_temperature_is_a_share_of_the_payoffs_deviation() -> None:
    # Mean 2, deviation sqrt((4 + 0 + 4) / 3).
    utility_BNM = torch.tensor([[[0.0, 2.0, 4.0]]], dtype=torch.float64)
    expected = 0.5 * math.sqrt(8.0 / 3.0)
    assert state_temperature(utility_BNM, 0.5).item() == pytest.approx(expected)
    fixed = EquilibriumConfig(temperature=expected, grid_size=3)
    at_BNA = torch.zeros(1, 1, 1, dtype=torch.float64)
    same = logit_response(Table(utility_BNM), at_BNA, fixed).weight_BNM[0, 0]
    torch.testing.assert_close(weights_at([0.0, 2.0, 4.0], 0.5), same)


@quick
@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=7),
    st.floats(1e-6, 1e6),
    st.floats(0.05, 5.0),
    st.integers(-50, 50),
)
def test_weights_do_not_depend_on_the_unit_or_the_zero_of_payoffs(
    payoffs: list[int], unit: float, share: float, zero: int
) -> None:
    scaled = [unit * (payoff + zero) for payoff in payoffs]
    torch.testing.assert_close(weights_at(scaled, share), weights_at([*map(float, payoffs)], share), atol=1e-9, rtol=0)


def test_as_the_share_goes_to_0_responses_become_best_ones_and_as_it_grows_even() -> None:
    payoffs = [0.3, 0.9, 0.8, -2.0]
    torch.testing.assert_close(weights_at(payoffs, 1e-3), torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(weights_at(payoffs, 1e6), torch.full((4,), 0.25, dtype=torch.float64), atol=1e-5, rtol=0)
    shares = [2.0, 1.0, 0.5, 0.25, 0.1]
    best = [weights_at(payoffs, share)[1].item() for share in shares]
    assert best == sorted(best)
    game = QuadraticGame(torch.full((1, 3, 2), 0.5, dtype=torch.float64), 0.4)
    start_BNA = torch.zeros(1, 3, 2, dtype=torch.float64)
    config = by_state(1e-3, 5)
    torch.testing.assert_close(
        respond(game, start_BNA, config), respond(game, start_BNA, EquilibriumConfig(grid_size=5, polish_steps=0))
    )


@pytest.mark.parametrize("payoffs", [[0.0, 1.0], [-3.0, 1e-9], [7.0, 7.0 + 1e-6]])
def test_of_two_candidates_the_better_one_has_the_same_chance_however_little_it_gains(payoffs: list[float]) -> None:
    for share in (0.25, 0.5, 2.0):
        assert weights_at(payoffs, share)[1].item() == pytest.approx(1 / (1 + math.exp(-2 / share)), abs=1e-6)


@pytest.mark.parametrize("payoff", [0.0, 1.0, -1e6])
def test_equal_payoffs_have_even_weights_also_where_rounding_tells_them_apart(payoff: float) -> None:
    rounded = [payoff, payoff * (1 + 2**-52), payoff]
    torch.testing.assert_close(
        weights_at(rounded, 1e-6), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.03, rtol=0
    )


def test_each_agent_and_row_has_its_own_temperature() -> None:
    utility_BNM = torch.tensor([[[0.0, 1.0], [0.0, 100.0]], [[5.0, 5.0], [0.0, 1e-3]]], dtype=torch.float64)
    found = state_temperature(utility_BNM, 1.0).squeeze(-1)
    torch.testing.assert_close(found, torch.tensor([[0.5, 50.0], [0.0, 5e-4]], dtype=torch.float64), atol=1e-12, rtol=0)


def test_refinement_goes_by_the_states_temperature() -> None:
    game, start_BNA = VolunteersDilemma([0.4] * 3), torch.full((1, 3, 1), 0.1, dtype=torch.float64)
    config = logit(0.8).model_copy(update={"temperature": "state", "damping": 0.5})
    result = refine(game, start_BNA, config, rounds=2)
    # Volunteering is worth (silence of the others) - 0.4 more than silence: 0.45^2 - 0.4 < 0, so all prefer silence.
    chance = 1 / (1 + math.exp(2 / config.temperature_share))
    once = (0.1 + 2 * chance - 1) / 2
    assert (1 - (1 + once) / 2) ** 2 > 0.4  # and now all prefer to volunteer
    twice = (once + 1 - 2 * chance) / 2
    torch.testing.assert_close(result.profile_BNA, torch.full_like(start_BNA, twice))
    assert result.mixed is not None


# Refinement ----------------------------------------------------------------------------------------------------------


def test_refinement_tells_the_mixed_profile_and_plays_its_mean() -> None:
    start_BNA = torch.tensor([[[0.3], [0.4]]], dtype=torch.float64)
    result = refine(MatchingPennies(), start_BNA, logit(1.5), rounds=200)
    assert result.stop_reasons == ("small_change",)
    assert result.mixed is not None
    torch.testing.assert_close(result.mixed.weight_BNM, torch.full((1, 2, 2), 0.5, dtype=torch.float64))
    torch.testing.assert_close(result.mixed.mean_BNA, result.profile_BNA, atol=1e-8, rtol=0)
    plain = refine(MatchingPennies(), start_BNA, EquilibriumConfig(), rounds=2)
    assert plain.mixed is None


def test_responses_use_the_temperature_of_their_number() -> None:
    game, start_BNA = VolunteersDilemma([0.4] * 3), torch.full((1, 3, 1), 0.1, dtype=torch.float64)
    config = logit(0.8, temperature_end=0.2, damping=0.5)
    result = refine(game, start_BNA, config, rounds=3)
    expected = start_BNA
    for temperature in (0.8, 0.4, 0.2):
        mean_BNA = logit_response(game, expected, config, temperature).mean_BNA
        expected = torch.lerp(mean_BNA, expected, 0.5)
    assert torch.equal(result.profile_BNA, expected)
    assert result.mixed is not None
    assert torch.equal(result.mixed.weight_BNM, logit_response(game, expected, config, 0.2).weight_BNM)


def test_a_row_that_rests_while_the_temperature_falls_goes_on() -> None:
    # Silence is dominated here, so at each temperature the response has another fixed point.
    game = VolunteersDilemma([0.5])
    refiner = Refiner(torch.tensor([[[0.24491866]]], dtype=torch.float64), logit(1.0, temperature_end=0.25), 9)
    # tanh(0.25 / temperature) is the response; the start is that of temperature 1.
    reasons = []
    while refiner.active:
        refiner.observe([None])
        if refiner.active:
            refiner.respond(game)
            reasons.append(refiner.stop_reasons[0])
    assert reasons == [None, None, None, "small_change"]
    assert refiner.residuals[0][0] < 1e-8
    assert refiner.profile_BNA.item() == pytest.approx(math.tanh(1.0))


# Quantal equilibria of the volunteer's dilemma -----------------------------------------------------------------------


def quantal_chance(n_agents: int, benefit: float, cost: float, temperature: float) -> float:
    """Root of p = 1 / (1 + exp((c - b (1 - p)^(n - 1)) / temperature)) by bisection; the right side falls in p."""
    low, high = 0.0, 1.0
    for _ in range(200):
        p = (low + high) / 2.0
        gain = benefit * (1.0 - p) ** (n_agents - 1) - cost
        low, high = (p, high) if 1.0 / (1.0 + math.exp(-gain / temperature)) > p else (low, p)
    return (low + high) / 2.0


def slope(n_agents: int, benefit: float, p: float, temperature: float) -> float:
    """g: minus how much an agent's chance changes with that of one other agent, at the quantal equilibrium."""
    return p * (1.0 - p) ** (n_agents - 1) * benefit / temperature


class Case(NamedTuple):
    """A volunteer's dilemma with its symmetric quantal equilibrium."""

    n: int
    b: float
    c: float
    temperature: float

    @property
    def p(self) -> float:
        return quantal_chance(self.n, self.b, self.c, self.temperature)

    @property
    def g(self) -> float:
        return slope(self.n, self.b, self.p, self.temperature)

    def from_nearby(self, damping: float) -> RefinementResult:
        near_BNA = 2.0 * self.p - 1.0 + 0.01 * torch.linspace(-0.5, 1.0, self.n, dtype=torch.float64)[None, :, None]
        game = VolunteersDilemma([self.c] * self.n, self.b)
        return refine(game, near_BNA, logit(self.temperature, damping=damping), rounds=400)

    def converged(self, damping: float) -> bool:
        """Whether it ended at a fixed point, which must then be the symmetric equilibrium."""
        result = self.from_nearby(damping)
        if result.stop_reasons != ("small_change",):
            assert result.stop_reasons == ("max_rounds",)
            assert (result.profile_BNA - (2 * self.p - 1)).abs().max() > 1e-3
            return False
        there_BNA = torch.full_like(result.profile_BNA, 2 * self.p - 1)
        torch.testing.assert_close(result.profile_BNA, there_BNA, atol=1e-6, rtol=0)
        return True


CASES = [
    Case(n, b, share * b, temperature * b)
    for n in (2, 3, 6)
    for b in (0.5, 3.0)
    for share in (0.1, 0.4, 0.8)
    for temperature in (0.1, 0.2, 0.5, 2.0)
]
CONTRACTING = [case for case in CASES if case.g * (case.n - 1) < 0.95]
DAMPABLE = [case for case in CASES if case.g < 0.95 and case.g * (case.n - 1) > 1.05]


@pytest.mark.parametrize("case", CONTRACTING)
def test_logit_responses_end_in_the_quantal_equilibrium_where_they_contract(case: Case) -> None:
    assert case.converged(damping=0.0)


@pytest.mark.parametrize("case", DAMPABLE)
def test_where_all_at_once_overshoot_only_enough_damping_converges(case: Case) -> None:
    bound = (case.g * (case.n - 1) - 1.0) / (case.g * (case.n - 1) + 1.0)
    assert not case.converged(damping=0.0)
    assert not case.converged(damping=0.9 * bound)
    assert case.converged(damping=bound + 0.2 * (1.0 - bound))


def test_there_are_cases_of_both_kinds() -> None:
    assert len(CONTRACTING) > 30
    assert len(DAMPABLE) > 5


def test_at_low_temperature_a_single_volunteer_emerges_from_a_small_difference() -> None:
    case = Case(3, 1.0, 0.4, 0.05)
    assert case.g > 1.0
    result = case.from_nearby(damping=0.7)
    assert result.stop_reasons == ("small_change",)
    chance_N = (1.0 + result.profile_BNA.flatten()) / 2.0
    # Each chance is the logit response to the others', as in any quantal equilibrium.
    silent_N = 1.0 - chance_N
    for agent in range(case.n):
        gain = case.b * float(silent_N.prod() / silent_N[agent]) - case.c
        assert chance_N[agent].item() == pytest.approx(1.0 / (1.0 + math.exp(-gain / case.temperature)), abs=1e-6)
    assert sorted(chance_N.tolist())[-1] > 0.9
    assert sorted(chance_N.tolist())[-2] < 0.1


def test_the_undamped_cycle_is_seen_and_told() -> None:
    case = Case(5, 1.0, 0.4, 0.2)
    assert case.g * (case.n - 1) > 1.0 > case.g
    start_BNA = torch.full((1, case.n, 1), 2.0 * case.p - 0.9, dtype=torch.float64)
    config = EquilibriumConfig(grid_size=2, temperature=case.temperature, convergence_threshold=1e-9)
    result = refine(VolunteersDilemma([case.c] * case.n, case.b), start_BNA, config, rounds=2000)
    assert result.stop_reasons == ("oscillation",)
    assert not result.converged_B.any()


def test_as_the_temperature_falls_the_mixed_equilibrium_is_approached_by_equals() -> None:
    # Equals stay equal: with no difference to grow, the symmetric branch is followed down to the mixed equilibrium.
    game = VolunteersDilemma([0.4] * 3)
    mixed_N1 = game.mixed_equilibrium()
    assert mixed_N1 is not None
    errors = []
    for end in (0.4, 0.1, 0.02):
        config = logit(0.8, temperature_end=end, damping=0.9, convergence_threshold=1e-6)
        result = refine(game, torch.zeros(1, 3, 1, dtype=torch.float64), config, rounds=500)
        p = quantal_chance(3, 1.0, 0.4, end)
        torch.testing.assert_close(
            result.profile_BNA, torch.full_like(result.profile_BNA, 2 * p - 1), atol=1e-4, rtol=0
        )
        errors.append((result.profile_BNA[0] - mixed_N1).abs().max().item())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_a_game_without_coupling_needs_one_response() -> None:
    game = QuadraticGame(torch.full((1, 2, 1), 0.3, dtype=torch.float64), 0.0)
    result = refine(game, torch.zeros(1, 2, 1, dtype=torch.float64), logit(0.5, grid_size=9), rounds=5)
    assert result.stop_reasons == ("small_change",)
    assert result.rounds == (2,)

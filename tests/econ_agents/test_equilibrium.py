"""Responses, gaps and refinement against games whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from econ_agents.equilibrium import Asked, EquilibriumConfig, Game, Refiner, best_response, refine
from econ_agents.errors import TeamError
from econ_agents.responses import logit_response
from econ_agents.testing import (
    MatchingPennies,
    QuadraticGame,
    TwoEquilibriaGame,
    biased_rock_paper_scissors,
    mean_of_others,
    rock_paper_scissors,
)

torch.set_num_threads(1)
quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31 - 1)
MANY = EquilibriumConfig(convergence_threshold=1e-6)


class Said(NamedTuple):
    answer: str | None
    failed: bool = False


class Bump:
    """A smooth peak of height 1 on a plain of height `floor`; its two controls are correlated."""

    def __init__(self, peak_BNA: Tensor, correlation: float, width: float, floor: float = 0.0) -> None:
        self.peak_BNA, self.correlation, self.width, self.floor = peak_BNA, correlation, width, floor

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        away = (candidates_BNMA - self.peak_BNA[:, :, None]) / self.width
        cross = 2.0 * self.correlation * away[..., 0] * away[..., 1]
        return self.floor + torch.exp(-(away.square().sum(-1) + cross))


def uniform(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * (2.0 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1.0)


# Best responses ------------------------------------------------------------------------------------------------------


@quick
@given(seeds, st.floats(-0.5, 0.5), st.floats(0.3, 1.0))
def test_a_smooth_peak_is_found_to_four_places(seed: int, correlation: float, width: float) -> None:
    peak_BNA = uniform(seed, 4, 3, 2, scale=0.95)
    game = Bump(peak_BNA, correlation, width)
    found = best_response(game, torch.zeros(4, 3, 2, dtype=torch.float64), EquilibriumConfig())
    torch.testing.assert_close(found.action_BNA, peak_BNA, atol=1e-4, rtol=0)


def test_a_guess_that_hardly_moves_by_chance_is_polished_further() -> None:
    for seed in [19388, *range(100)]:
        peak_BNA = uniform(seed, 4, 3, 2, scale=0.95)
        found = best_response(Bump(peak_BNA, 0.0, 1.0), torch.zeros(4, 3, 2, dtype=torch.float64), EquilibriumConfig())
        torch.testing.assert_close(found.action_BNA, peak_BNA, atol=1e-4, rtol=0)


def test_it_is_found_in_single_precision_although_payoffs_there_differ_by_less_than_rounding() -> None:
    peak_BNA = uniform(0, 8, 3, 2, scale=0.95).float()
    found = best_response(Bump(peak_BNA, 0.4, 0.5, floor=1.0), torch.zeros(8, 3, 2), EquilibriumConfig())
    torch.testing.assert_close(found.action_BNA, peak_BNA, atol=1e-4, rtol=0)


def test_the_grid_alone_finds_it_to_half_a_step() -> None:
    peak_BNA = uniform(1, 8, 3, 2)
    game = QuadraticGame(peak_BNA, 0.0)
    found = best_response(game, torch.zeros_like(peak_BNA), EquilibriumConfig(grid_size=9, polish_steps=0)).action_BNA
    assert (found - peak_BNA).abs().max() <= 0.125 + 1e-12
    assert torch.equal(found * 4, (found * 4).round())


@quick
@given(seeds)
def test_at_the_border_the_other_control_is_still_at_its_best(seed: int) -> None:
    # Correlated hills whose tops often lie outside the box; projected ascent finds the best point inside, slowly.
    top_BNA = uniform(seed, 6, 3, 2, scale=1.5)
    root_BNAA = uniform(seed + 1, 6, 3, 2, 2)
    steep_BNAA = root_BNAA @ root_BNAA.mT + 0.1 * torch.eye(2, dtype=torch.float64)

    class Hill:
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            away = candidates_BNMA - top_BNA[:, :, None]
            return -torch.einsum("bnma,bnac,bnmc->bnm", away, steep_BNAA, away)

    best_BNA = torch.zeros_like(top_BNA)
    for _ in range(1000):
        uphill_BNA = torch.einsum("bnac,bnc->bna", steep_BNAA, top_BNA - best_BNA)
        best_BNA = (best_BNA + 0.4 * uphill_BNA).clamp(-1, 1)
    found = best_response(Hill(), torch.zeros_like(top_BNA), EquilibriumConfig())
    torch.testing.assert_close(found.action_BNA, best_BNA, atol=1e-4, rtol=0)


def test_who_cannot_gain_stays() -> None:
    class Flat:
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            return torch.full(candidates_BNMA.shape[:3], 0.7)

    profile_BNA = torch.tensor([[[0.123, 1.0], [-1.0, 0.456]]])
    found = best_response(Flat(), profile_BNA, EquilibriumConfig())
    assert torch.equal(found.action_BNA, profile_BNA)
    assert torch.equal(found.gain_BN, torch.zeros(1, 2))


def test_many_controls_are_searched_by_sobol_points_instead_of_a_grid() -> None:
    peak_BNA = uniform(2, 2, 3, 5, scale=0.8)
    asked: list[int] = []

    class Counted(QuadraticGame):
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            asked.append(candidates_BNMA.shape[2])
            return super().utilities(profile_BNA, candidates_BNMA)

    found = best_response(Counted(peak_BNA, 0.0), torch.zeros_like(peak_BNA), EquilibriumConfig(max_candidates=256))
    torch.testing.assert_close(found.action_BNA, peak_BNA, atol=1e-4, rtol=0)
    assert max(asked) == 257


@pytest.mark.parametrize(
    ("returned", "told"), [(torch.zeros(1, 2), "must have the shape"), (torch.full((1, 2, 50), torch.nan), "finite")]
)
def test_payoffs_that_cannot_be_used_are_refused(returned: Tensor, told: str) -> None:
    class Broken:
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            return returned

    with pytest.raises(TeamError, match=told):
        best_response(Broken(), torch.zeros(1, 2, 2), EquilibriumConfig())


def test_the_logit_response_is_the_softmax_mean_over_the_candidates() -> None:
    class Sloped:
        def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
            return candidates_BNMA[..., 0]

    config = EquilibriumConfig(grid_size=3, temperature=0.5)
    found = logit_response(Sloped(), torch.zeros(1, 1, 1, dtype=torch.float64), config).mean_BNA
    # Weights exp(-2), 1, exp(2) on -1, 0, 1.
    low, high = torch.exp(torch.tensor([-2.0, 2.0], dtype=torch.float64))
    torch.testing.assert_close(found.squeeze(), (high - low) / (low + 1 + high))


# Gaps ----------------------------------------------------------------------------------------------------------------


@quick
@given(seeds, st.floats(-0.9, 0.9), st.integers(1, 5))
def test_gaps_are_never_negative_and_vanish_at_the_equilibrium(seed: int, coupling: float, n_agents: int) -> None:
    game = QuadraticGame.with_equilibrium(uniform(seed, 3, n_agents, 2, scale=0.9), coupling)
    somewhere = best_response(game, uniform(seed + 1, 3, n_agents, 2), EquilibriumConfig())
    assert (somewhere.gain_BN >= 0).all()
    assert (somewhere.nash_conv_B > 0).all()
    there = best_response(game, game.equilibrium_BNA, EquilibriumConfig())
    torch.testing.assert_close(there.nash_conv_B, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)


@quick
@given(seeds, st.floats(-0.9, 0.9))
def test_a_gain_is_what_the_deviation_is_worth(seed: int, coupling: float) -> None:
    game = QuadraticGame.with_equilibrium(uniform(seed, 2, 3, 2, scale=0.5), coupling)
    profile_BNA = uniform(seed + 1, 2, 3, 2, scale=0.5)
    wish_BNA = (game.centre_BNA + coupling * mean_of_others(profile_BNA)).clamp(-1, 1)
    gain_BN = (
        game.utilities(profile_BNA, wish_BNA[:, :, None]) - game.utilities(profile_BNA, profile_BNA[:, :, None])
    ).squeeze(-1)
    found = best_response(game, profile_BNA, EquilibriumConfig())
    torch.testing.assert_close(found.gain_BN, gain_BN, atol=1e-8, rtol=0)


def test_nash_conv_of_rock_paper_scissors() -> None:
    # The even mix is the only equilibrium; from (rock, rock) each gains 1 by paper.
    rock, even = torch.tensor([1.0, -1.0, -1.0]), torch.zeros(3)
    profiles_BNA = torch.stack([torch.stack([even, even]), torch.stack([rock, rock]), torch.stack([rock, even])])
    config = EquilibriumConfig(grid_size=5)
    found = best_response(rock_paper_scissors(), profiles_BNA, config).nash_conv_B
    torch.testing.assert_close(found, torch.tensor([0.0, 2.0, 1.0]), atol=1e-5, rtol=0)


def test_nash_conv_of_biased_rock_paper_scissors() -> None:
    # Against the even mix the three strategies earn 25/3, 20/3 and -15, on average 0.
    mix = 2.0 * torch.tensor([1.0, 10.0, 5.0], dtype=torch.float64) / 16.0 - 1.0
    profiles_BNA = torch.stack([mix.expand(2, 3), torch.zeros(2, 3, dtype=torch.float64)])
    found = best_response(biased_rock_paper_scissors(), profiles_BNA, EquilibriumConfig(grid_size=5)).nash_conv_B
    torch.testing.assert_close(found, torch.tensor([0.0, 50.0 / 3.0], dtype=torch.float64), atol=1e-5, rtol=0)


# Refinement ----------------------------------------------------------------------------------------------------------


@quick
@given(seeds, st.floats(-0.95, 0.95), st.integers(2, 5))
def test_errors_shrink_by_the_coupling_each_round(seed: int, coupling: float, n_agents: int) -> None:
    game = QuadraticGame.with_equilibrium(uniform(seed, 2, n_agents, 2, scale=0.8), coupling)
    config = EquilibriumConfig(convergence_threshold=0, oscillation_window=0)
    result = refine(game, uniform(seed + 1, 2, n_agents, 2), config, rounds=6)
    error_KB = (result.trajectory_KBNA - game.equilibrium_BNA).abs().amax(dim=(2, 3))
    for rounds, error_B in enumerate(error_KB):
        assert (error_B <= abs(coupling) ** rounds * error_KB[0] + 1e-7).all()


def test_a_common_error_shrinks_exactly_like_b_to_the_k() -> None:
    game = QuadraticGame.with_equilibrium(torch.zeros(1, 3, 2, dtype=torch.float64), -0.6)
    start_BNA = torch.full((1, 3, 2), 0.9, dtype=torch.float64)
    result = refine(game, start_BNA, EquilibriumConfig(convergence_threshold=0), rounds=5)
    expected = torch.tensor([0.9 * (-0.6) ** k for k in range(6)], dtype=torch.float64)
    torch.testing.assert_close(result.trajectory_KBNA[:, 0, 0, 0], expected, atol=1e-8, rtol=0)
    assert result.residuals[0] == pytest.approx([0.9 * 1.6 * 0.6**k for k in range(5)], abs=1e-7)


@quick
@given(seeds, st.floats(-0.9, 0.9), st.floats(0.0, 0.5))
def test_contractions_end_at_the_solution_of_the_linear_system(seed: int, coupling: float, damping: float) -> None:
    game = QuadraticGame.with_equilibrium(uniform(seed, 2, 3, 2, scale=0.8), coupling)
    result = refine(game, uniform(seed + 1, 2, 3, 2), MANY.model_copy(update={"damping": damping}), rounds=200)
    assert result.stop_reasons == ("small_change",) * 2
    assert result.converged_B.all()
    torch.testing.assert_close(result.profile_BNA, game.equilibrium_BNA, atol=1e-4, rtol=0)
    assert (result.after.nash_conv_B <= result.before.nash_conv_B).all()
    assert (result.after.nash_conv_B < 1e-8).all()


def test_damping_keeps_its_share_of_the_old_action() -> None:
    game = QuadraticGame(torch.full((1, 2, 2), 0.8, dtype=torch.float64), 0.0)
    result = refine(game, torch.zeros(1, 2, 2, dtype=torch.float64), EquilibriumConfig(damping=0.25), rounds=1)
    torch.testing.assert_close(result.profile_BNA, torch.full((1, 2, 2), 0.6, dtype=torch.float64))


def test_a_game_that_drives_apart_is_not_called_converged() -> None:
    game = QuadraticGame.with_equilibrium(torch.zeros(1, 2, 1, dtype=torch.float64), 2.0)
    result = refine(game, torch.full((1, 2, 1), 0.05, dtype=torch.float64), EquilibriumConfig(), rounds=3)
    assert result.stop_reasons == ("max_rounds",)
    assert not result.converged_B.any()
    assert result.residuals[0] == pytest.approx([0.05, 0.1, 0.2])
    assert result.after.nash_conv_B > result.before.nash_conv_B


def test_driven_apart_long_enough_it_ends_in_a_corner_that_is_an_equilibrium_of_the_box() -> None:
    game = QuadraticGame.with_equilibrium(torch.zeros(1, 2, 1, dtype=torch.float64), 2.0)
    result = refine(game, torch.full((1, 2, 1), 0.05, dtype=torch.float64), MANY, rounds=200)
    torch.testing.assert_close(result.profile_BNA, torch.ones(1, 2, 1, dtype=torch.float64))
    assert result.stop_reasons == ("small_change",)
    assert result.after.nash_conv_B.item() == pytest.approx(0.0)


def test_with_a_negative_coupling_beyond_one_it_flips_between_corners_and_says_so() -> None:
    game = QuadraticGame.with_equilibrium(torch.zeros(1, 2, 1, dtype=torch.float64), -2.0)
    result = refine(game, torch.full((1, 2, 1), 0.05, dtype=torch.float64), MANY, rounds=200)
    assert result.stop_reasons == ("oscillation",)
    assert not result.converged_B.any()
    assert result.profile_BNA.abs().min() == 1.0
    assert result.after.nash_conv_B.item() > 1.0


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_side_where_it_starts_decides_between_two_equilibria(side: float) -> None:
    start_BNA = side * torch.tensor([[[0.3, 0.1], [-0.1, 0.4], [0.2, 0.2]]], dtype=torch.float64)
    result = refine(TwoEquilibriaGame(place=0.5, pull=0.5), start_BNA, MANY, rounds=200)
    torch.testing.assert_close(
        result.profile_BNA, torch.full((1, 3, 2), 0.5 * side, dtype=torch.float64), atol=1e-4, rtol=0
    )
    assert result.after.nash_conv_B.item() < 1e-7 < result.before.nash_conv_B.item()


def test_plain_responses_to_matching_pennies_are_seen_to_cycle() -> None:
    start_BNA = torch.tensor([[[0.3, 0.2], [0.4, 0.1]]], dtype=torch.float64)
    result = refine(MatchingPennies(), start_BNA, MANY, rounds=200)
    assert result.stop_reasons == ("oscillation",)
    assert result.rounds[0] <= 6
    assert result.after.nash_conv_B.item() >= 2.0


def test_without_looking_for_cycles_it_goes_on_to_the_last_round() -> None:
    start_BNA = torch.tensor([[[0.3, 0.2], [0.4, 0.1]]], dtype=torch.float64)
    result = refine(MatchingPennies(), start_BNA, EquilibriumConfig(oscillation_window=3), rounds=9)
    assert result.stop_reasons == ("max_rounds",)  # the cycle has period 4


@pytest.mark.parametrize(("temperature", "damping"), [(0.6, 0.0), (0.3, 0.5)])
def test_entropy_regularised_responses_to_matching_pennies_converge(temperature: float, damping: float) -> None:
    start_BNA = torch.tensor([[[0.3, 0.2], [0.4, 0.1]]], dtype=torch.float64)
    config = EquilibriumConfig(convergence_threshold=1e-6, temperature=temperature, damping=damping)
    result = refine(MatchingPennies(), start_BNA, config, rounds=200)
    assert result.stop_reasons == ("small_change",)
    torch.testing.assert_close(result.profile_BNA, torch.zeros(1, 2, 2, dtype=torch.float64), atol=1e-4, rtol=0)
    assert result.after.nash_conv_B.item() < 1e-3


@quick
@given(seeds, st.permutations([0, 1, 2, 3]))
def test_agents_may_be_numbered_in_any_order(seed: int, order: list[int]) -> None:
    game = QuadraticGame.with_equilibrium(uniform(seed, 2, 4, 2, scale=0.8), 0.6)
    start_BNA = uniform(seed + 1, 2, 4, 2)
    config = EquilibriumConfig()
    plain = refine(game, start_BNA, config, rounds=3)
    shuffled = refine(QuadraticGame(game.centre_BNA[:, order], 0.6), start_BNA[:, order], config, rounds=3)
    torch.testing.assert_close(shuffled.profile_BNA, plain.profile_BNA[:, order], atol=1e-6, rtol=0)
    torch.testing.assert_close(shuffled.after.gain_BN, plain.after.gain_BN[:, order], atol=1e-6, rtol=0)


def test_rows_of_a_batch_go_their_own_ways() -> None:
    target_BNA = uniform(3, 3, 2, 2, scale=0.7)
    game = QuadraticGame.with_equilibrium(target_BNA, 0.5)
    start_BNA = uniform(4, 3, 2, 2)
    start_BNA[1] = target_BNA[1]  # already there
    config = EquilibriumConfig(convergence_threshold=1e-3)
    together = refine(game, start_BNA, config, rounds=4)
    assert together.rounds == (5, 1, 5)
    assert together.stop_reasons == ("max_rounds", "small_change", "max_rounds")
    for row in range(3):
        alone = refine(QuadraticGame(game.centre_BNA[row : row + 1], 0.5), start_BNA[row : row + 1], config, rounds=4)
        torch.testing.assert_close(alone.profile_BNA[0], together.profile_BNA[row], atol=1e-12, rtol=0)
        assert alone.stop_reasons[0] == together.stop_reasons[row]
        assert alone.residuals[0] == pytest.approx(together.residuals[row])


# Rounds of a team ----------------------------------------------------------------------------------------------------


class Team:
    """Plays rounds of a fixed game and says what it is told to say."""

    def __init__(self, game: Game, answers: Sequence[Sequence[Said]]) -> None:
        self.game, self.answers = game, answers
        self.played: list[Tensor] = []
        self.asked: list[list[bool]] = []

    def __call__(self, profile_BNA: Tensor, active_B: Tensor) -> Asked:
        outcomes = self.answers[len(self.played)]
        self.played.append(profile_BNA.clone())
        self.asked.append(active_B.tolist())
        return Asked(self.game, [said if on else None for said, on in zip(outcomes, active_B.tolist(), strict=True)])


def never_twice(rows: int = 1) -> list[list[Said]]:
    return [[Said(f"answer {k}")] * rows for k in range(9)]


def game_and_start(rows: int = 1) -> tuple[QuadraticGame, Tensor]:
    return QuadraticGame.with_equilibrium(uniform(5, rows, 3, 2, scale=0.7), 0.7), uniform(6, rows, 3, 2)


def test_one_round_is_no_refinement() -> None:
    game, start_BNA = game_and_start()
    team = Team(game, never_twice())
    result = refine(game, start_BNA, EquilibriumConfig(), team, rounds=1)
    assert torch.equal(result.profile_BNA, start_BNA)
    assert len(team.played) == 1
    assert result.rounds == (1,)
    assert result.residuals == ((),)
    assert result.stop_reasons == ("max_rounds",)
    assert torch.equal(result.before.gain_BN, result.after.gain_BN)


def test_k_rounds_have_k_minus_one_responses() -> None:
    game, start_BNA = game_and_start()
    team = Team(game, never_twice())
    result = refine(game, start_BNA, EquilibriumConfig(), team, rounds=3)
    assert len(team.played) == 3
    assert torch.equal(team.played[-1], result.profile_BNA)
    assert torch.equal(torch.stack(team.played), result.trajectory_KBNA)
    assert len(result.residuals[0]) == 2
    unasked = refine(game, start_BNA, EquilibriumConfig(), rounds=2)
    assert torch.equal(unasked.profile_BNA, result.profile_BNA)
    assert not torch.equal(result.profile_BNA, start_BNA)


def test_the_response_is_to_the_game_after_the_round() -> None:
    before, start_BNA = game_and_start()
    after = QuadraticGame(-before.centre_BNA, 0.0)
    result = refine(before, start_BNA, EquilibriumConfig(), Team(after, never_twice()), rounds=2)
    torch.testing.assert_close(result.profile_BNA, (-before.centre_BNA).clamp(-1, 1), atol=1e-6, rtol=0)


def test_a_repeated_answer_ends_it_with_what_was_played_last() -> None:
    game, start_BNA = game_and_start()
    team = Team(game, [[Said("4")], [Said("7")], [Said("7")], [Said("7")]])
    result = refine(game, start_BNA, EquilibriumConfig(), team, rounds=9)
    assert result.stop_reasons == ("commitment_repeated",)
    assert len(team.played) == 3
    assert torch.equal(team.played[-1], result.profile_BNA)


def test_no_answer_twice_is_no_repetition_and_repetition_can_be_ignored() -> None:
    game, start_BNA = game_and_start()
    config = EquilibriumConfig()
    assert refine(game, start_BNA, config, Team(game, [[Said(None)]] * 4), rounds=4).stop_reasons == ("max_rounds",)
    stubborn = config.model_copy(update={"stop_when_repeated": False})
    assert refine(game, start_BNA, stubborn, Team(game, [[Said("1")]] * 4), rounds=4).rounds == (4,)


def test_a_round_with_nothing_valid_ends_it() -> None:
    game, start_BNA = game_and_start()
    team = Team(game, [[Said("1")], [Said(None, failed=True)], [Said("2")]])
    result = refine(game, start_BNA, EquilibriumConfig(), team, rounds=9)
    assert result.stop_reasons == ("all_invalid",)
    assert result.rounds == (2,)


def test_a_response_too_small_to_matter_is_not_asked_about() -> None:
    game, _ = game_and_start()
    nearly_BNA = game.equilibrium_BNA + 1e-3
    team = Team(game, never_twice())
    result = refine(game, nearly_BNA, EquilibriumConfig(convergence_threshold=0.01), team, rounds=9)
    assert result.stop_reasons == ("small_change",)
    assert len(team.played) == 1
    assert torch.equal(result.profile_BNA, nearly_BNA)
    assert 0 < result.residuals[0][0] < 0.01


def test_rows_that_stopped_are_not_asked_again() -> None:
    game, start_BNA = game_and_start(rows=2)
    answers = [[Said("1"), Said("1")], [Said("1"), Said("2")], [Said("?"), Said("3")]]
    team = Team(game, answers)
    result = refine(game, start_BNA, EquilibriumConfig(), team, rounds=3)
    assert team.asked == [[True, True], [True, True], [False, True]]
    assert result.stop_reasons == ("commitment_repeated", "max_rounds")
    assert result.rounds == (2, 3)
    assert torch.equal(result.trajectory_KBNA[2, 0], result.trajectory_KBNA[1, 0])
    assert not torch.equal(result.trajectory_KBNA[2, 1], result.trajectory_KBNA[1, 1])


def test_first_profiles_are_brought_into_the_box() -> None:
    result = refine(QuadraticGame(torch.zeros(1, 2, 1), 0.0), torch.full((1, 2, 1), 3.0), EquilibriumConfig())
    assert result.trajectory_KBNA[0].max() == 1.0


def test_results_of_an_unfinished_refinement_and_odd_shapes_are_refused() -> None:
    game, start_BNA = game_and_start()
    with pytest.raises(RuntimeError, match="are still active"):
        Refiner(start_BNA, EquilibriumConfig(), 3).result(game)
    with pytest.raises(TeamError, match="batch, agents, controls"):
        Refiner(start_BNA[0], EquilibriumConfig(), 3)


@pytest.mark.parametrize(
    "values", [{"max_rounds": 0}, {"damping": 1.0}, {"temperature": -1.0}, {"grid_size": 1}, {"rounds": 3}]
)
def test_settings_out_of_range_or_unknown_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        EquilibriumConfig.model_validate(values)

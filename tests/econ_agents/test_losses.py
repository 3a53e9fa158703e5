"""Every loss against a hand calculation, and the rows that a weight of 0 leaves out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from econ_agents import losses

ONES = torch.ones(2)


def test_weighted_mean() -> None:
    value_B = torch.tensor([1.0, 2.0, 6.0])
    assert losses.weighted_mean(value_B, torch.ones(3)).item() == 3.0
    assert losses.weighted_mean(value_B, torch.tensor([1.0, 0.0, 1.0])).item() == 3.5
    # Importance weights scale a row; they do not change how many rows there are.
    assert losses.weighted_mean(value_B, torch.tensor([0.5, 0.0, 1.0])).item() == (0.5 + 6.0) / 2
    assert losses.weighted_mean(value_B, torch.zeros(3)).item() == 0.0


def test_td_local() -> None:
    # Two critics, two rows, two agents: (1 + 4), (0 + 1) by the first, (0 + 0), (9 + 0) by the second.
    local_CBN = torch.tensor([[[1.0, 2.0], [3.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target_BN = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert losses.td_local(local_CBN, target_BN, ONES).item() == pytest.approx((2.5 + 5.0) / 2)
    assert losses.td_local(local_CBN, target_BN, torch.tensor([1.0, 0.0])).item() == pytest.approx(2.5)


def test_td_total() -> None:
    total_B, target_B = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 5.0])
    assert losses.td_total(total_B, target_B, ONES).item() == pytest.approx(2.5)


def test_similarity() -> None:
    aligned_BNX = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]])
    commitment_BX = torch.tensor([[3.0, 0.0], [-1.0, 1.0]])
    # Row 0: cosines 1 and 0, so 0 + 1; row 1: both -1/sqrt 2.
    second = 2 * (1 + 1 / math.sqrt(2)) ** 2
    assert losses.similarity(aligned_BNX, commitment_BX, ONES).item() == pytest.approx((1 + second) / 2)


def test_similarity_leaves_out_rows_without_a_commitment() -> None:
    aligned_BNX = torch.tensor([[[0.0, 2.0]], [[1.0, 0.0]]])
    commitment_BX = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    assert losses.similarity(aligned_BNX, commitment_BX, ONES).item() == pytest.approx(1.0)
    assert losses.similarity(aligned_BNX, torch.zeros(2, 2), ONES).item() == 0.0


def test_q_consistency_moves_the_total_only() -> None:
    local_BN = torch.tensor([[1.0, 3.0], [0.0, 0.0]], requires_grad=True)
    total_B = torch.tensor([2.0, 1.0], requires_grad=True)
    loss = losses.q_consistency(local_BN, total_B, ONES)
    assert loss.item() == pytest.approx((1 + 1 + 1 + 1) / 2)
    loss.backward()
    assert local_BN.grad is None
    assert total_B.grad is not None
    assert total_B.grad.tolist() == pytest.approx([0.0, 2.0])


def test_encoder() -> None:
    value_BN, target_BN = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert losses.encoder(value_BN, target_BN, ONES).item() == pytest.approx((5 + 2) / 2)


def test_equilibrium_is_the_gap_and_lifts_the_payoff_only() -> None:
    payoff_BN = torch.tensor([[1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    best_BN = torch.tensor([[1.5, 1.0], [2.0, 3.0]], requires_grad=True)
    loss = losses.equilibrium(payoff_BN, best_BN, ONES)
    assert loss.item() == pytest.approx((0.5 + 0 + 2 + 3) / 2)
    loss.backward()
    assert best_BN.grad is None
    assert payoff_BN.grad is not None
    assert payoff_BN.grad.tolist() == [[-0.5, 0.0], [-0.5, -0.5]]


def test_response_is_a_divergence_from_the_best_deviation() -> None:
    # Controls at the middle (logit 0) against deviations 0.5 and -0.5, read as chances 0.75 and 0.25.
    logit_BNA = torch.zeros(1, 2, 1)
    best_act_BNA = torch.tensor([[[0.5], [-0.5]]])
    each = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    both = losses.response(logit_BNA, best_act_BNA, torch.tensor([[1.0, 1e-3]]), torch.ones(1))
    assert both.item() == pytest.approx(2 * each, abs=1e-6)
    one = losses.response(logit_BNA, best_act_BNA, torch.tensor([[1.0, 0.0]]), torch.ones(1))
    assert one.item() == pytest.approx(each, abs=1e-6)


def test_response_is_zero_at_the_best_deviation_and_pulls_where_heads_are_saturated() -> None:
    logit_BNA = torch.tensor([[[math.log(3.0)]]], requires_grad=True)
    loss = losses.response(logit_BNA, torch.tensor([[[0.5]]]), torch.ones(1, 1), torch.ones(1))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    saturated = torch.tensor([[[20.0]]], requires_grad=True)
    losses.response(saturated, torch.tensor([[[-1.0]]]), torch.ones(1, 1), torch.ones(1)).backward()
    assert saturated.grad is not None
    assert saturated.grad.item() == pytest.approx(1.0, abs=2e-3)


def test_improvement_lifts_later_rounds_and_never_lowers_the_bar() -> None:
    total_KB = torch.tensor([[3.0, 0.0], [1.0, 1.0], [2.0, 0.5]], requires_grad=True)
    loss = losses.improvement(total_KB, ONES)
    assert loss.item() == pytest.approx((2.0 + 0.5) / 2)
    loss.backward()
    assert total_KB.grad is not None
    assert total_KB.grad.tolist() == [[0.0, 0.0], [-0.5, 0.0], [0.0, -0.5]]
    assert losses.improvement(total_KB[:1].detach(), ONES).item() == 0.0


def test_reward_weights() -> None:
    parts_BNR = torch.tensor([[[1.0, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    alpha_R = torch.tensor([0.4, 0.4, 0.2], requires_grad=True)
    expected_BN = torch.tensor([[0.0], [1.0]], requires_grad=True)
    loss = losses.reward_weights(parts_BNR, alpha_R, expected_BN, ONES)
    assert loss.item() == pytest.approx((0.5**2 + 0.6**2) / 2)
    loss.backward()
    assert expected_BN.grad is None
    assert alpha_R.grad is not None
    assert alpha_R.grad.tolist() == pytest.approx([0.5, -0.6, 0.25])


def test_ascent_weighs_all_rows_that_count_alike() -> None:
    total_B = torch.tensor([1.0, 5.0, 100.0])
    assert losses.ascent(total_B, torch.tensor([0.1, 1.0, 0.0])).item() == -3.0


def _cases() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    def shaped(seed_B: Tensor, *shape: int) -> Tensor:
        """Values that differ in each row, as a function of the row's own number alone."""
        rest = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
        return torch.sin(seed_B.reshape(-1, *[1] * len(shape)) + rest)

    return {
        "td_local": lambda v, w: losses.td_local(shaped(v, 2)[None], shaped(v + 1, 2), w),
        "td_total": lambda v, w: losses.td_total(v, v + torch.sin(v), w),
        "similarity": lambda v, w: losses.similarity(shaped(v, 2, 3), shaped(v + 1, 3), w),
        "q_consistency": lambda v, w: losses.q_consistency(shaped(v, 2), v, w),
        "encoder": lambda v, w: losses.encoder(shaped(v, 2), shaped(v + 1, 2), w),
        "equilibrium": lambda v, w: losses.equilibrium(shaped(v, 2), shaped(v + 1, 2) + 1, w),
        "response": lambda v, w: losses.response(shaped(v, 2, 2), shaped(v + 1, 2, 2), shaped(v, 2), w),
        "improvement": lambda v, w: losses.improvement(torch.stack([v + 1, v, v - 2]), w),
        "reward_weights": lambda v, w: losses.reward_weights(
            shaped(v, 2, 3), torch.tensor([0.4, 0.4, 0.2]), shaped(v, 2), w
        ),
        "ascent": losses.ascent,
    }


@pytest.mark.parametrize("name", _cases())
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_rows_of_weight_zero_are_left_out(name: str, data: st.DataObject) -> None:
    loss = _cases()[name]
    kept = data.draw(st.lists(st.booleans(), min_size=1, max_size=6))
    row_B = torch.tensor(data.draw(st.lists(st.floats(-3, 3), min_size=len(kept), max_size=len(kept))))
    weight_B = torch.tensor([float(k) for k in kept])
    chosen = torch.tensor(kept)
    expected = loss(row_B[chosen], weight_B[chosen]) if any(kept) else torch.tensor(0.0)
    torch.testing.assert_close(loss(row_B, weight_B), expected)

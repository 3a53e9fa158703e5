"""What is known of agents before they speak."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_agents.networks import records
from econ_agents.networks.records import Records


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1, width=32)), min_size=3, max_size=3),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_they_are_means_of_all_calls_however_these_are_divided(calls, batch):
    spoke, right, amount = torch.tensor(calls, dtype=torch.float32).unbind(-1)
    kept = Records(16)
    for start in range(0, len(calls), batch):
        part = slice(start, start + batch)
        kept.observe(spoke[part], right[part], amount[part])
    count, hits = spoke.sum(0), (spoke * right).sum(0)
    torch.testing.assert_close(kept.odds(3), ((hits + 1) / (count - hits + 1)).log(), atol=1e-5, rtol=1e-5)
    expected = torch.where(count > 0, (spoke * amount).sum(0) / count.clamp(min=1), 1.0)
    torch.testing.assert_close(kept.amounts(3), expected, atol=1e-5, rtol=1e-5)


def test_older_calls_fade_in_the_end(monkeypatch):
    monkeypatch.setattr(records, "HORIZON", 9.0)
    kept = Records(16)
    one = torch.ones(1, 1)
    for _ in range(50):
        kept.observe(one, 0 * one, 0.1 * one)
    kept.observe(one, one, 0.2 * one)
    assert kept.right_C[0].item() == pytest.approx(0.1)
    assert kept.amounts(1).item() == pytest.approx(0.11)


def test_more_agents_than_codes_share_records():
    kept = Records(2)
    kept.observe(torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 3))
    assert kept.odds(3).tolist() == pytest.approx([0.0, 0.0, 0.0])
    assert kept.count_C.tolist() == [2.0, 0.0]

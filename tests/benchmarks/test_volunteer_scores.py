"""The measure of the volunteer's dilemma counts what it says."""

import pytest
import torch
from click.testing import CliRunner

from benchmarks.measure.volunteers import COSTS, Score, main, row, score, variant
from econ_agents.config import BneConfig


class ByCost:
    """Agents whose cost (the first number they see) is below a bound volunteer."""

    def __init__(self, bound):
        self.bound = bound

    def propose(self, obs_BND):
        return torch.where(obs_BND[..., :1] < self.bound, 1.0, -1.0)


@pytest.mark.parametrize(
    ("task", "bound", "expected"),
    [
        ("two types", 0.5, Score(True, 1.0, 0.0)),
        ("two types", 0.1, Score(False, 0.0, 0.8 + 2 * 0.4)),  # nobody: each would volunteer
        ("two types", 0.9, Score(False, (1 - 1.4 / 3) / (1 - 0.2 / 3), 1.4)),  # all: each would rather not
        ("dear", 1.0, Score(False, 0.0, 0.0)),
        ("dear", 2.0, Score(False, (1 - 1.5) / 0.5, 4.5)),
    ],
)
def test_scores_of_simple_policies_by_hand(task, bound, expected):
    found = score(ByCost(bound), COSTS[task], 1, BneConfig())
    assert found.right is expected.right
    assert found[1:] == pytest.approx(expected[1:])


def test_cells_of_a_row_by_hand():
    scores = [Score(True, 1.0, 0.0)] * 4 + [Score(False, 0.5, 1.5)]
    # The exact (Clopper-Pearson) interval of 4 in 5.
    assert row(scores) == ["4 of 5 [0.28, 0.99]", "0.90 (0.50 to 1.00)", "0.30 (0.00 to 1.50)"]


def test_a_variant_changes_its_settings_alone():
    config = variant({"network": {"mixer": "mean"}})
    assert (config.network.mixer, config.network.hidden_dim) == ("mean", 32)
    assert config.optimizer == variant({}).optimizer


def test_it_prints_a_table():
    ran = CliRunner().invoke(main, ["--seeds", "1", "--episodes", "8", "--costs", "equal", "--only", "no mixer"])
    assert ran.exit_code == 0, ran.output
    assert ran.output.count("no mixer") == len(("own", "team"))
    assert "8 episodes, seeds 0 to 0" in ran.output

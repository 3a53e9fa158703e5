"""The reward terms against tables worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.answers import DEFAULT_RULE
from econ_env.config import RewardConfig
from econ_env.records import Commitment, Problem, PromptEmbedding, Reply, Round, Strategy
from econ_env.rewards.scoring import agrees, score
from econ_env.rewards.terms import action_likelihood, collaborative_contribution, novelty, task_specific, weigh

E = PromptEmbedding(0.5, 1.1)
X, Y, MINUS_X = (np.array(v, np.float32) for v in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]))
DIAGONAL = np.array([0.6, 0.8], np.float32)


@pytest.mark.parametrize(
    ("reply", "commitment", "expected"),
    [(X, X, 1.0), (X, Y, 0.5), (X, MINUS_X, 0.0), (X, DIAGONAL, 0.8), (DIAGONAL, Y, 0.9)],
)
def test_action_likelihood_is_the_cosine_on_unit_interval(reply, commitment, expected):
    assert action_likelihood(reply, commitment) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "index", "expected"),
    [
        ([X], 0, 1.0),  # alone: nobody to repeat
        ([X, X], 0, 0.0),
        ([X, Y], 0, 1.0),
        ([X, MINUS_X], 0, 1.0),  # opposition is as novel as independence
        ([X, X, Y], 0, 0.5),
        ([X, DIAGONAL, Y], 1, 1 - (0.6 + 0.8) / 2),
    ],
)
def test_novelty_by_hand(rows, index, expected):
    assert novelty(np.stack(rows), index) == pytest.approx(expected, abs=1e-6)


def test_contribution_and_sum_by_hand():
    assert collaborative_contribution(0.8, 0.3, 0.5) == pytest.approx(0.55)
    assert collaborative_contribution(0.8, 0.3, 1.0) == pytest.approx(0.8)
    parts = weigh(0.8, 1.0, 0.55, (0.4, 0.4, 0.2))
    assert parts.total == pytest.approx(0.4 * 0.8 + 0.4 + 0.2 * 0.55)
    assert (task_specific(True), task_specific(False)) == (1.0, 0.0)


@given(
    st.lists(st.floats(-1, 1), min_size=6, max_size=6).filter(
        lambda v: np.linalg.norm(v[:3]) and np.linalg.norm(v[3:])
    ),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.01, 1)),
    st.booleans(),
)
def test_every_term_stays_in_the_unit_interval(values, raw, correct):
    one, other = np.array(values[:3], np.float32), np.array(values[3:], np.float32)
    if not (np.linalg.norm(one) > 1e-6 and np.linalg.norm(other) > 1e-6):
        return
    rows = np.stack([one / np.linalg.norm(one), other / np.linalg.norm(other)]).astype(np.float32)
    weights = tuple(w / sum(raw) for w in raw)
    al = action_likelihood(rows[0], rows[1])
    cc = collaborative_contribution(al, novelty(rows, 0), 0.5)
    parts = weigh(al, task_specific(correct), cc, weights)
    assert all(0.0 <= value <= 1.0 for value in (parts.al, parts.ts, parts.cc, parts.total))


def _round(answers: list[str | None], commitment: str | None) -> Round:
    replies = tuple(
        Reply(f"executor_{i}", E, None if a is None else f"The answer is {a}.", a, "invalid" if a is None else "valid")
        for i, a in enumerate(answers)
    )
    text = None if commitment is None else f"The answer is {commitment}."
    return Round(
        0, Strategy(None), replies, Commitment(text, commitment, "none" if commitment is None else "coordinator")
    )


def test_score_of_a_round_by_hand():
    problem = Problem("1 + 1?", "2", "p")
    round_ = _round(["2", "3", None], "2")
    paid = score(problem, round_, [X, Y, None], X, RewardConfig(), (0.4, 0.4, 0.2), DEFAULT_RULE)
    # executor 0: AL 1, TS 1, novelty 1, CC 1. executor 1: AL .5, TS 0, novelty 1, CC .75. executor 2: nothing
    assert [part.total for part in paid.rewards] == pytest.approx([1.0, 0.4 * 0.5 + 0.2 * 0.75, 0.0])
    assert [part.ts for part in paid.rewards] == [1.0, 0.0, 0.0]
    assert paid.judgement.verdict == "correct"
    assert [j.verdict if j else None for j in paid.replies] == ["correct", "wrong", None]
    # team: mean AL .5, mean CC 1.75/3, TS of the commitment
    assert paid.team.total == pytest.approx(0.4 * 0.5 + 0.4 * 1.0 + 0.2 * 1.75 / 3)
    mean_ts = score(problem, round_, [X, Y, None], X, RewardConfig(team_ts="mean"), (0.4, 0.4, 0.2), DEFAULT_RULE)
    assert mean_ts.team.ts == pytest.approx(1 / 3)
    assert agrees(round_, DEFAULT_RULE) == [True, False, False]


def test_a_failed_round_is_not_judged_and_pays_nothing():
    lost = _round([None, None], None)
    paid = score(Problem("?", "2", "p"), lost, [None, None], X * 0, RewardConfig(), (0.4, 0.4, 0.2), DEFAULT_RULE)
    assert paid.judgement is None
    assert [part.total for part in paid.rewards] == [0.0, 0.0]
    assert paid.team.total == 0.0

"""Methods that stop early: whom they ask, when they stop, and what answers."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from econ_env.answers import DEFAULT_RULE
from econ_env.app.runs.results import result_row
from econ_env.errors import BudgetError, ConfigError
from econ_env.methods import AdaptiveConsistency, BestFirst, EarlyStopping, SelfConsistency, most_asks
from econ_env.methods.stopping import surety
from econ_env.testing import check_method
from econ_env.testing.scripted import ScriptedLLM
from tests.econ_env.methods.tables import PROBLEM, answered, numbers, table_team, verdict

TABLES = st.lists(st.sampled_from([4, 5, 6, "I can not tell.", None]), min_size=1, max_size=9)


def shapes(answer):
    return [len(round_.replies) for round_ in answer.rounds]


def answers(answer):
    return [round_.commitment.answer for round_ in answer.rounds]


# The Beta criterion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0, 0, Fraction(1, 2)), (1, 0, Fraction(3, 4)), (2, 0, Fraction(7, 8)), (1, 1, Fraction(1, 2)),
     (2, 1, Fraction(11, 16)), (3, 1, Fraction(13, 16)), (3, 2, Fraction(21, 32)), (5, 0, Fraction(63, 64))],
)  # fmt: skip
def test_surety_of_few_votes_by_hand(first, second, expected):
    assert surety(first, second) == float(expected)


@given(st.integers(0, 60), st.integers(0, 60))
def test_surety_is_the_upper_half_of_the_beta_distribution(first, second):
    assert surety(first, second) == pytest.approx(stats.beta.sf(0.5, first + 1, second + 1), abs=1e-12)


def test_it_asks_one_by_one_until_the_majority_is_sure():
    team, requests = table_team([4, 5, 4, 4, 7])
    answer = answered(AdaptiveConsistency(team))
    assert numbers(requests) == [0, 1, 2, 3]  # 13/16 is the first above 0.8
    assert shapes(answer) == [1, 1, 1, 1]
    assert answers(answer) == ["4", "4", "4", "4"]
    assert verdict(answer) == "correct"


def test_two_that_agree_are_sure_enough_and_one_is_not():
    team, requests = table_team([5, 5, 4])
    assert verdict(answered(AdaptiveConsistency(team))) == "wrong"
    assert numbers(requests) == [0, 1]


def test_a_higher_threshold_asks_more():
    team, requests = table_team([4])
    answered(AdaptiveConsistency(team, 0.95))
    assert len(requests) == 4  # 1 - 2 ** -5 = 0.97, and 0.94 before it


def test_replies_without_an_answer_make_nothing_surer():
    team, requests = table_team(["Hm.", None, 4, "Hm.", 4])
    answer = answered(AdaptiveConsistency(team))
    assert len(requests) == 5
    assert [reply.valid for reply in answer.replies] == [True, False, True, True, True]


@settings(max_examples=60, deadline=None)
@given(TABLES, st.sampled_from([0.6, 0.75, 0.8, 0.95]))
def test_it_stops_at_the_first_time_that_the_criterion_holds_and_never_asks_more_than_most(said, threshold):
    team, requests = table_team(said)
    answered(AdaptiveConsistency(team, threshold, most=8))
    word = [said[min(number, len(said) - 1)] for number in range(8)]
    sure = []
    for count in range(1, 9):
        votes = sorted((word[:count].count(n) for n in (4, 5, 6)), reverse=True)
        sure.append(stats.beta.sf(0.5, votes[0] + 1, votes[1] + 1) > threshold + 1e-12)
    expected = sure.index(True) + 1 if True in sure else 8
    assert numbers(requests) == list(range(expected))


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_with_a_threshold_near_one_it_is_a_majority(said):
    team, _ = table_team(said)
    slow, fast = (answered(m) for m in (AdaptiveConsistency(team, 1 - 1e-12, most=6), SelfConsistency(team, 6)))
    assert slow.replies == fast.replies
    assert slow.rounds[-1].commitment == fast.rounds[-1].commitment
    assert slow.usage == fast.usage


# Windows -----------------------------------------------------------------------------------------------------------


def test_windows_are_asked_until_one_is_unanimous_and_all_replies_vote():
    team, requests = table_team([4, 5, 5, 4, 6, 6, 7])
    answer = answered(EarlyStopping(team))
    assert numbers(requests) == [0, 1, 2, 3, 4, 5]
    assert shapes(answer) == [2, 2, 2]
    assert answers(answer) == ["4", "4", "4"]  # ties go to the first
    assert answer.text == "executor_0 finds it. The answer is 4."  # said in the first window


@pytest.mark.parametrize(("said", "asked"), [([4, 4, 4, 5], 3), ([4, 4, 5, 5, 5, 5], 6), ([4, 5, 4, 5, 4, 5, 4], 7)])
def test_a_window_of_three_needs_three(said, asked):
    team, requests = table_team(said)
    answered(EarlyStopping(team, 3, most=7))
    assert len(requests) == asked


def test_the_last_window_holds_what_is_left():
    team, _ = table_team([4, 5, 6], ("a", "b", "c"))
    assert shapes(answered(EarlyStopping(team))) == [2, 1]


@pytest.mark.parametrize("odd", ["Hm.", None])
def test_a_window_in_which_one_says_nothing_is_not_unanimous(odd):
    team, requests = table_team([4, odd, 4, 4])
    answered(EarlyStopping(team))
    assert len(requests) == 4


def test_a_window_in_which_nobody_answers_is_not_unanimous():
    team, requests = table_team(["Hm.", "Hm.", 4, 4])
    answered(EarlyStopping(team))
    assert len(requests) == 4


# Best first ----------------------------------------------------------------------------------------------------------


def test_the_best_are_asked_first_until_two_agree():
    team, requests = table_team([5, 4, 7, 4], ("a", "b", "c", "d"))
    answer = answered(BestFirst(team, (2, 3, 1, 0)))
    assert numbers(requests) == [2, 3, 1]
    assert answers(answer) == ["7", "7", "4"]
    assert answer.text == "executor_3 finds it. The answer is 4."
    assert [reply.agent for reply in answer.replies] == ["executor_2", "executor_3", "executor_1"]


def test_without_agreement_the_best_has_the_say():
    team, requests = table_team([5, 4, 7], ("a", "b", "c"))
    assert answered(BestFirst(team, (1, 2, 0))).rounds[-1].commitment.answer == "4"
    assert len(requests) == 3


def test_three_must_agree_if_three_are_wanted():
    team, requests = table_team([4, 4, 5, 4], ("a", "b", "c", "d"))
    answered(BestFirst(team, (0, 1, 2, 3), agree=3))
    assert len(requests) == 4


def test_after_the_last_it_begins_again_with_the_best():
    team, requests = table_team(["Hm.", "Hm.", "Hm.", "Hm.", 4, 4])
    answered(BestFirst(team, (2, 0, 1)))
    assert numbers(requests) == [2, 0, 1, 5, 3, 4]


# All of them ---------------------------------------------------------------------------------------------------------


def best_first(team):
    return BestFirst(team, range(len(team.executors)))


ALL = [AdaptiveConsistency, EarlyStopping, best_first]


@pytest.mark.parametrize("make", ALL)
def test_they_are_sound_methods(make):
    check_method(make)


@pytest.mark.parametrize("make", [*ALL, partial(SelfConsistency, samples=4)])
def test_asks_of_the_same_number_are_the_same_request(make):
    team, requests = table_team([4, 5, 6, 7])
    answered(make(team))
    wanted, reference = table_team([4, 5, 6, 7])
    answered(SelfConsistency(wanted, 10))
    assert len(requests) >= 4
    assert requests == reference[: len(requests)]


@pytest.mark.parametrize(
    ("models", "expected"),
    [(("a", "b", "c"), 3), (("a", "a", "a"), 10), (("a",) * 12, 12), (("a", "b", "b", "a"), 4), (("a",), 10)],
)
@pytest.mark.parametrize("make", ALL)
def test_different_models_are_asked_once_each_and_one_model_ten_times(make, models, expected):
    team, requests = table_team(["Hm."], models)
    assert most_asks(team) == expected
    answered(make(team))
    assert sorted(numbers(requests)) == list(range(expected))


@pytest.mark.parametrize("make", ALL)
def test_a_problem_without_any_valid_reply_is_failed(make):
    team, requests = table_team([None])
    answer = answered(make(team))
    assert len(requests) == 10
    assert (answer.rounds[-1].failed, answer.text, verdict(answer)) == (True, None, None)


@pytest.mark.parametrize("make", [AdaptiveConsistency, EarlyStopping, partial(BestFirst, order=(0, 1, 2))])
def test_rounds_add_to_one_another_and_the_row_has_all_replies(make):
    team, _ = table_team([5, None, 6, 4, "Hm.", 4])
    answer = answered(make(team, most=6))
    assert [round_.adds for round_ in answer.rounds] == [False] + [True] * (len(answer.rounds) - 1)
    assert [round_.index for round_ in answer.rounds] == list(range(len(answer.rounds)))
    row = result_row(
        "m", answer.episode, stop_reasons=(), residuals=(), gap=None, seconds=0.0, rule=DEFAULT_RULE, seed=0
    )
    said = ["wrong", "invalid", "wrong", "correct", "no_answer", "correct"]
    assert [reply["verdict"] for reply in row["replies"]] == said
    assert row["verdict"] == row["round_verdicts"][-1] == "correct"
    assert (row["calls"], row["invalid"], sum(row["rounds"])) == (5, 1, len(answer.rounds))
    assert sum(row["round_tokens"]) == row["tokens"]["executor"]


@pytest.mark.parametrize("make", ALL)
def test_a_spent_budget_ends_the_run(make):
    def spent(request):
        raise BudgetError("spent")

    team, _ = table_team([4])
    llm = ScriptedLLM(spent)
    with pytest.raises(BudgetError):
        answered(make(type(team)(llm, (llm,) * 3, team.config, rule=team.rule)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: AdaptiveConsistency(t, 1.0), "threshold between 0.5 and 1, got 1.0"),
        (lambda t: AdaptiveConsistency(t, 0.5), "threshold between 0.5 and 1, got 0.5"),
        (lambda t: AdaptiveConsistency(t, most=0), "at least once"),
        (lambda t: EarlyStopping(t, 1), "windows of at least 2"),
        (lambda t: EarlyStopping(t, most=0), "at least once"),
        (lambda t: BestFirst(t, (0, 1)), "an order of 3 executors"),
        (lambda t: BestFirst(t, (0, 1, 1)), "an order of 3 executors"),
        (lambda t: BestFirst(t, (0, 1, 2), agree=1), "at least 2 replies that agree"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    team, _ = table_team([4])
    with pytest.raises(ConfigError, match=message):
        make(team)


def test_other_seeds_ask_anew():
    team, requests = table_team([4, 5, 6, 7])
    answered(AdaptiveConsistency(team), PROBLEM, seed=1)
    asked = len(requests)
    answered(AdaptiveConsistency(team), PROBLEM, seed=2)
    assert not {request.seed for request in requests[:asked]} & {request.seed for request in requests[asked:]}

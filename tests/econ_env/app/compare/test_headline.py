"""The headline against hand-made runs whose answers are known: a team below, above and equal to its own majority."""

import pytest

from econ_env.answers import DEFAULT_RULE
from econ_env.app.compare import statistics
from econ_env.app.compare.headline import headline
from econ_env.app.compare.method_names import BUILT_IN
from econ_env.app.compare.overview import overview
from econ_env.app.compare.readable import Play, readable_name, readable_names
from econ_env.llm.seeding import derive_seed
from econ_env.methods import tie_lots

RIGHT, WRONG, SILENT = "4", "5", None


def said(answer, **controls):
    verdict = "silent" if answer is SILENT else "correct" if answer == RIGHT else "wrong"
    return {"answer": answer, "verdict": verdict, "temperature": 0.7, "p": 1.0, **controls}


def row(problem, right, answers, method="bne", seed=0, **changes):
    """A problem's row: whether the team is right, and the answers of its executors."""
    verdict = "correct" if right else "wrong"
    return {
        "method": method, "problem": str(problem), "source": "made", "seed": seed, "verdict": verdict, "units": None,
        "replies": [said(answer) for answer in answers], "round_verdicts": [verdict], "round_tokens": [10],
        "tokens": {"strategy": 0, "executor": 10, "commitment": 0}, "prompt_tokens": 5, "completion_tokens": 5,
        "calls": 3, "cache_hits": 0, "rounds": [1], "seconds": 1.0, "usd": None,
    } | changes  # fmt: skip


def rows(*counts, **changes):
    """Rows by count: (team right, majority right, how many)."""
    kinds = [(team, majority) for team, majority, count in counts for _ in range(count)]
    votes = {True: (RIGHT, RIGHT, WRONG), False: (WRONG, RIGHT, WRONG)}
    return [row(number, team, votes[majority], **changes) for number, (team, majority) in enumerate(kinds)]


def told(given, **overview_of):
    seen = overview(given, rule=DEFAULT_RULE, **overview_of)
    play = Play(rounds=3)
    return headline(seen, readable_names(seen["methods"], dict.fromkeys(seen["methods"], play)))


BELOW = rows((True, True, 5), (False, True, 1), (False, False, 2))


def test_a_team_below_the_majority_of_its_own_executors_is_said_to_be():
    assert told(BELOW) == [
        "ECON with 3 rounds was right less often than the majority of its own executors' last replies: 62.5% against "
        "75.0%, a difference within chance on 8 problems (p = 1.000, McNemar's exact test)."
    ]


def test_a_difference_that_is_more_than_chance_is_said_to_be():
    (sentence,) = told(rows((True, True, 10), (False, True, 10)))
    # ten discordant problems on one side: p = 2 * 0.5 ** 10
    assert "50.0% against 100.0%, a difference more than chance on 20 problems (p = 0.002, McNemar" in sentence


@pytest.mark.parametrize(
    "given", [rows((True, True, 5), (True, False, 1), (False, False, 2)), rows((True, False, 1), (False, True, 1))]
)
def test_a_team_above_or_equal_is_not(given):
    assert told(given) == []


def test_seeds_are_averaged_and_the_test_is_named():
    given = [one for seed in range(2) for one in rows((True, True, 2), (False, True, 8), seed=seed)]
    (sentence,) = told(given)
    assert "20.0% against 100.0%" in sentence
    assert "more than chance on 10 problems (p = 0.008, a sign-flip permutation test over problems)" in sentence


def test_silent_executors_do_not_vote_and_failed_problems_are_left_out():
    given = [*BELOW, row(8, False, (RIGHT, SILENT, SILENT)), row(9, True, (RIGHT, RIGHT, RIGHT), verdict="failed")]
    assert "55.6% against 77.8%" in told(given)[0]
    assert overview(given, rule=DEFAULT_RULE)["methods"]["bne"]["own_majority"]["problems"] == 9


def test_every_vote_counts_once_whatever_its_weight():
    heavy = row(0, False, (WRONG, RIGHT, RIGHT))
    heavy["replies"][0]["weight"] = 5.0
    assert "0.0% against 100.0%" in told([heavy])[0]
    weighted = told([{**heavy, "method": "weighted_vote"}])
    assert weighted[0].startswith("Vote weighted by accuracy was right less often than the majority of its own")


def test_ties_are_decided_by_the_lots_of_the_method_majority():
    ties = [row(number, True, (RIGHT, WRONG)) for number in range(40)]
    lots = [tie_lots(derive_seed("episode", 0, str(number)), 2) for number in range(40)]
    expected = [first > second for first, second in lots]
    assert 5 < sum(expected) < 35
    assert [one["verdict"] == "correct" for one in statistics.own_majority(ties, DEFAULT_RULE)] == expected
    with_source = [{**one, "problem": f"made {one['problem']}"} for one in ties]
    assert [one["verdict"] == "correct" for one in statistics.own_majority(with_source, DEFAULT_RULE)] == expected


def test_replies_without_an_answer_have_no_majority():
    empty = row(0, True, (WRONG, WRONG))
    empty["replies"] = [{**reply, "answer": None, "verdict": "no_answer"} for reply in empty["replies"]]
    assert [one["verdict"] for one in statistics.own_majority([empty], DEFAULT_RULE)] == ["no_answer"]


def test_the_best_other_method_is_named_where_it_beats_the_team():
    others = [row(number, number < 7, (RIGHT,), "single") for number in range(8)]
    votes = [row(number, number < 5, (RIGHT, RIGHT), "sc@7") for number in range(8)]
    _, second = told([*BELOW, *others, *votes])
    # two problems gained, none lost: p = 0.5, and 1 after Holm's adjustment for two methods
    assert second == (
        "One greedy call was right more often than ECON with 3 rounds: 87.5% against 62.5%, a difference within chance "
        "on 8 problems (p = 1.000 after Holm's adjustment, McNemar's exact test)."
    )
    assert len(told([*BELOW, *votes])) == 1


def test_methods_that_vote_by_rule_are_not_counted_against_themselves():
    seen = overview(rows((False, True, 5), method="sc@3"), rule=DEFAULT_RULE)
    assert seen["methods"]["sc@3"]["own_majority"] is None
    assert seen["teams"] == []


def test_several_runs_are_counted_and_named():
    given = [
        {**one, "method": f"{run}: {one['method']}"}
        for run, team in (("a", BELOW), ("b", rows((True, True, 8))), ("c", BELOW))
        for one in [*team, *(row(number, True, (RIGHT,), "single") for number in range(8))]
    ]
    first, second = told(given)
    assert first.startswith("In 2 of 3 runs the team was right less often than the majority of its own executors' last")
    assert "a: ECON with 3 rounds 62.5% against 75.0% (within chance, p = 1.000); c: ECON with 3 rounds" in first
    assert second.startswith("In 2 of 3 runs another method was right more often than the team: a: One greedy call 100")


def test_an_added_method_can_be_the_team():
    (sentence,) = told(rows((True, True, 5), (False, True, 1), method="mine:Team"))
    assert sentence.startswith("mine:Team was right less often")


def test_nothing_judged_says_nothing():
    assert told([row(0, False, (WRONG, WRONG), verdict="failed")]) == []


# Names


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("bne", "ECON with 3 rounds"),
        ("no_bne", "ECON with 1 round"),
        ("baseline", "ECON with 1 round"),
        ("sc@7", "Self-consistency of 7"),
        ("debate@3", "Debate of 3 rounds"),
        ("adaptive_consistency", "Adaptive consistency until 80% sure"),
        ("adaptive_consistency@0.9", "Adaptive consistency until 90% sure"),
        ("best_first@3", "Best first until 3 agree"),
        ("mine:Vote", "mine:Vote"),
    ],
)
def test_methods_have_readable_names(key, name):
    assert readable_name(key, play=Play(rounds=3)) == name


def test_a_number_that_the_run_chose_is_in_the_name():
    assert readable_name("sc", 18) == "Self-consistency of 18"
    assert readable_name("sc") == "Self-consistency"
    assert readable_name("bne", play=Play(speaks=True)) == "ECON, executors choosing when to speak"
    assert readable_name("bne") == "ECON with rounds"


def test_every_built_in_method_has_a_name_of_its_own():
    names = {key: readable_name(key, play=Play(rounds=3)) for key in BUILT_IN}
    assert not set(names) & set(names.values())
    assert len(set(names.values())) == len(names)


def test_the_same_name_twice_gets_its_key():
    parts = {"bne": {"units": None}, "no_bne": {"units": None}, "a: sc": {"units": 3}}
    plays = {"bne": Play(rounds=1), "no_bne": Play(rounds=1)}
    assert list(readable_names(parts, plays).values()) == [
        "ECON with 1 round (bne)", "ECON with 1 round (no_bne)", "a: Self-consistency of 3"
    ]  # fmt: skip


def test_the_settings_of_a_run_say_how_its_team_was_played():
    assert Play.of({"bne": {"max_iterations_infer": 3}}) == Play(3)
    assert Play.of({"bne": {"max_iterations_infer": 3}, "bne_max_iterations": 5}) == Play(5)
    assert Play.of({"sampling": {"controls": ["temperature", "speak"]}}).speaks

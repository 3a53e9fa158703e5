"""Rounds in which some executors stay silent: who is asked, what stands, what it costs, and who condenses what."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.answers import DEFAULT_RULE
from econ_env.config import EnvConfig
from econ_env.errors import LLMReplyError
from econ_env.records import SILENCE, Commitment, Problem, PromptEmbedding, Reply, Round, Strategy, Usage
from econ_env.team.rounds import Team
from econ_env.team.speaking import speakers, spoken, standing, without_cost
from econ_env.team.votes import vote, weights_of
from econ_env.testing import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
PLAN = Strategy(None)


def e(speak=1.0, weight=1.0, temperature=0.7):
    return PromptEmbedding(temperature, 1.0, speak=speak, weight=weight)


def says(answers, others="4"):
    """Answers by the request's agent, a list of them by round; the team's coordinator is `team`; errors are raised."""

    def script(request):
        said = answers.get(request.agent or "team", others)
        said = said[request.round_index] if isinstance(said, list) else said
        if isinstance(said, Exception):
            raise said
        return f"{request.agent or 'team'} thinks. The answer is {said}."

    return ScriptedLLM(script)


def make(llm, n_agents=3, **changes):
    return Team(llm, (llm,) * n_agents, EnvConfig(n_agents=n_agents, **changes), rule=DEFAULT_RULE)


def play(team, *rounds, n_agents=3):
    """Rounds of one decision, each given by who is asked; nobody for a round without a call."""

    async def run():
        done = []
        for index, asked in enumerate(rounds):
            before = done[-1] if done else None
            controls = [e(float(number in asked)) for number in range(n_agents)]
            if asked:
                more = {"index": index, "last_answer": None, "seed": 7 + index, "asked": asked, "before": before}
                done.append(await team.round(PROBLEM, PLAN, controls, **more))
            else:
                done.append(await team.rest(before, controls))
        return done

    return asyncio.run(run())


def asked_agents(llm, role="executor"):
    return [request.agent for request in llm.requests if request.role == role]


# Who is asked


def test_those_from_one_half_on_are_asked():
    assert speakers([e(0.5), e(0.49), e(1.0)], first=True) == (0, 2)
    assert speakers([e(0.1), e(0.2)], first=False) == ()


def test_in_a_first_round_the_one_that_wants_to_most_is_asked_and_the_first_of_equals():
    assert speakers([e(0.1), e(0.4), e(0.4)], first=True) == (1,)
    assert speakers([e(0.0)] * 3, first=True) == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.booleans())
def test_speakers_are_in_order_and_never_none_at_first(speak, first):
    found = speakers([e(value) for value in speak], first=first)
    assert list(found) == sorted(set(found))
    assert all(speak[number] >= 0.5 for number in found) or (first and len(found) == 1)
    assert found or not first


# What stands


def test_a_reply_stands_until_the_next_one_and_has_this_rounds_weight():
    old = [Reply("executor_0", e(1.0, 0.5, 0.3), "a", "1", "valid"), Reply("executor_1", e(0.0), None, None, "silent")]
    before = Round(0, PLAN, tuple(old), Commitment("a", "1", "majority"))
    new = Reply("executor_1", e(1.0, 1.0), "b", "2", "valid")
    controls = [e(0.0, 0.25, 0.9), e(1.0, 1.0)]
    first, second = standing(range(2), controls, before, {1: new})
    assert (first.text, first.answer, first.status) == ("a", "1", "valid")
    assert first.controls == e(0.0, 0.25, 0.3)  # sampled at 0.3; silent now, with another weight
    assert second is new
    assert standing(range(2), [e(1.0, 0.5), e(0.0)], before, {})[0] is old[0]
    silent = standing([1], [e(), e(0.2)], before, {})
    assert silent == (Reply("executor_1", e(0.2), None, None, "silent"),)
    assert standing([0], [e(0.2)], None, {})[0].silent
    assert spoken([first, *silent]) == [first]


def test_what_stands_costs_nothing_more():
    made = Commitment("a", "1", "coordinator", usage=Usage(calls=1, prompt_tokens=5))
    assert without_cost(made) == Commitment("a", "1", "coordinator")
    assert without_cost(SILENCE) is SILENCE


def test_a_round_asks_some_and_counts_only_these():
    llm = says({"executor_0": ["4", "5"], "executor_2": "6"})
    first, second = play(make(llm, commitment="vote"), (0,), (2,))
    assert asked_agents(llm) == ["executor_0", "executor_2"]
    assert [reply.status for reply in first.replies] == ["valid", "silent", "silent"]
    assert [reply.answer for reply in second.replies] == ["4", None, "6"]
    assert (first.asked, second.asked) == (("executor_0",), ("executor_2",))
    assert [reply.agent for reply in second.given] == ["executor_2"]
    assert (first.usage.calls, second.usage.calls) == (1, 1)
    assert second.replies[0].usage == first.replies[0].usage  # of its own round
    assert (first.commitment.answer, second.commitment.answer) == ("4", "4")


def test_an_executor_that_is_asked_again_replaces_what_it_said():
    llm = says({"executor_0": ["4", "5"]})
    _, second = play(make(llm, commitment="vote"), (0,), (0,))
    assert [reply.answer for reply in second.replies] == ["5", None, None]
    assert second.commitment.answer == "5"


def test_a_seed_does_not_depend_on_who_else_is_asked():
    llm = says({})
    play(make(llm), (0, 1, 2))
    alone = says({})
    play(make(alone), (2,))
    (lonely,) = [request for request in alone.requests if request.agent == "executor_2"]
    (one,) = [request for request in llm.requests if request.agent == "executor_2"]
    assert lonely == one


def test_a_round_of_nobody_keeps_the_commitment_and_calls_nobody():
    llm = says({})
    first, second = play(make(llm), (0, 1), ())
    assert len(llm.requests) == 3
    assert (second.index, second.asked, second.silent, second.given, second.commitments) == (1, (), True, (), ())
    assert second.usage == Usage()
    assert (second.commitment.text, second.commitment.source) == (first.commitment.text, "coordinator")
    assert [reply.text for reply in second.replies] == [reply.text for reply in first.replies]


def test_by_default_everybody_is_asked():
    llm = says({})
    team = make(llm)
    round_ = asyncio.run(team.round(PROBLEM, PLAN, [e()] * 3, index=0, last_answer=None, seed=1))
    assert round_.asked == ("executor_0", "executor_1", "executor_2")
    assert round_.given is round_.replies
    assert Round(0, PLAN, round_.replies, round_.commitment).asked == round_.asked
    assert Round(0, PLAN, round_.replies, round_.commitment, asked=()).silent


def test_where_the_only_one_asked_fails_the_round_fails_and_a_later_one_can_mend_it():
    llm = says({"executor_0": LLMReplyError("gone")})
    first, second = play(make(llm, commitment="vote"), (0,), (1,))
    assert (first.failed, first.error) == (True, "gone")
    assert [reply.status for reply in second.replies] == ["invalid", "valid", "silent"]
    assert (second.failed, second.commitment.answer) == (False, "4")
    again = play(make(says({"executor_0": LLMReplyError("gone")}), commitment="weighted"), (0,), ())[1]
    assert again.failed


def test_later_rounds_show_the_last_answer_only_if_it_is_shown():
    for show in (True, False):
        llm = says({})
        team = make(llm, show_commitment=show)
        first = play(team, (0,))[0]
        more = {"index": 1, "last_answer": "4", "seed": 8, "asked": (1,), "before": first}
        asyncio.run(team.round(PROBLEM, PLAN, [e()] * 3, **more))
        (later,) = [request for request in llm.requests if request.agent == "executor_1"]
        assert ("last answer: 4" in later.messages[-1].content) is show


# Who condenses what


def test_the_coordinator_condenses_all_that_stands():
    llm = says({"executor_0": "4", "executor_2": "6"})
    play(make(llm), (0,), (2,))
    last = llm.requests[-1]
    assert last.role == "commitment"
    assert "executor_0 thinks" in last.messages[-1].content
    assert "executor_2 thinks" in last.messages[-1].content


def test_a_silent_executor_does_not_divide_the_others():
    llm = says({})
    (only,) = play(make(llm, commitment="divided"), (0, 2))
    assert only.commitment.source == "unanimous"
    llm = says({"executor_2": "5"})
    (only,) = play(make(llm, commitment="divided"), (0, 2))
    assert only.commitment.source == "coordinator"


def test_a_cluster_of_silent_executors_has_no_local_commitment_and_one_that_is_not_asked_again_keeps_its_own():
    llm = says({})
    first, second, third = play(make(llm, 9), (0, 1), (4,), (), n_agents=9)
    assert [part.silent for part in first.clusters] == [False, True, True]
    assert first.clusters[1].commitment == SILENCE
    assert (first.error, first.commitment.source) == (None, "coordinator")
    assert asked_agents(llm, "commitment") == ["cluster_0", "", "cluster_1", ""]
    assert [part.silent for part in second.clusters] == [False, False, True]
    assert second.clusters[0].commitment.text == first.clusters[0].commitment.text
    assert second.clusters[0].commitment.usage == Usage()
    assert len(second.commitments) == 2  # of cluster 1, and the team's
    assert (first.usage.calls, second.usage.calls, third.usage.calls) == (4, 3, 0)
    assert [part.agents for part in third.clusters] == [part.agents for part in first.clusters]


def test_local_commitments_that_agree_are_not_divided_by_a_silent_cluster():
    llm = says({})
    (only,) = play(make(llm, 9, commitment="divided"), (0, 1, 4, 5), n_agents=9)
    assert (only.commitment.source, asked_agents(llm, "commitment")) == ("unanimous", [])


def test_a_failed_merge_falls_back_to_all_that_stands():
    llm = says({"team": LLMReplyError("gone"), "executor_4": "6", "executor_5": "6"})
    _, second = play(make(llm, 9), (0,), (4, 5), n_agents=9)
    assert (second.commitment.source, second.commitment.answer) == ("majority", "6")


# Weighted votes


def replies(*pairs):
    return [
        Reply(f"executor_{n}", e(1.0, weight), f"I say {answer}.", answer, "valid" if answer != "?" else "invalid")
        for n, (answer, weight) in enumerate(pairs)
    ]


def weighted(*pairs):
    said = replies(*pairs)
    return vote(said, DEFAULT_RULE, weights_of(said)).answer


def test_the_largest_sum_of_weights_wins_and_ties_go_to_the_first():
    assert weighted(("4", 0.3), ("5", 0.5), ("4.0", 0.3)) == "4"
    assert weighted(("4", 0.2), ("5", 0.5), ("4.0", 0.2)) == "5"
    assert weighted(("5", 0.5), ("4", 0.5)) == "5"
    assert weighted(("5", 0.5), ("4", 0.25), ("4", 0.25)) == "5"
    assert weighted(("5", 1.0), *[("4", 0.1)] * 10) == "5"  # ten times 0.1 is 1
    assert weighted(("5", 0.0), ("4", 0.1)) == "4"


def test_weights_of_nothing_are_a_plain_vote():
    assert weighted(("5", 0.0), ("4", 0.0), ("4", 0.0)) == "4"
    assert weighted(("5", 0.0), ("4", 0.0), ("4", 0.0), ("?", 1.0), (None, 1.0)) == "4"


@given(st.lists(st.sampled_from(["1/2", "0.5", "3", "4", None]), min_size=1, max_size=9), st.floats(0, 1))
def test_equal_weights_are_a_plain_vote(answers, weight):
    said = replies(*((answer, weight) for answer in answers))
    assert vote(said, DEFAULT_RULE, weights_of(said)) == vote(said, DEFAULT_RULE)


@given(st.lists(st.tuples(st.sampled_from("34567"), st.floats(0, 1)), min_size=1, max_size=9), st.randoms())
def test_the_winner_has_the_largest_sum(pairs, random):
    sums = {answer: sum(weight for other, weight in pairs if other == answer) for answer, _ in pairs}
    if any(weight for _, weight in pairs):
        assert sums[weighted(*pairs)] == pytest.approx(max(sums.values()))


def test_a_weighted_commitment_is_stated_and_needs_no_coordinator():
    llm = says({"executor_1": "5"})
    team = make(llm, commitment="weighted", n_agents=6)  # flat, however large
    controls = [e(1.0, 0.1), e(1.0, 1.0), *[e(1.0, 0.1)] * 4]
    round_ = asyncio.run(team.round(PROBLEM, PLAN, controls, index=0, last_answer=None, seed=1))
    assert (round_.commitment.text, round_.commitment.source) == ("The answer is 5.", "majority")
    assert {request.role for request in llm.requests} == {"executor"}
    assert round_.clusters == ()
    lighter = asyncio.run(team.rest(round_, [e(1.0, 1.0)] * 6))
    assert lighter.commitment.answer == "4"
    assert (lighter.asked, lighter.usage.calls, len(llm.requests)) == ((), 0, 6)
    assert [reply.controls.weight for reply in lighter.replies] == [1.0] * 6

"""The methods with a scripted model: who is asked what, what wins, what it costs, and what becomes of failed calls."""

import asyncio

import pytest

from econ_env.answers import DEFAULT_RULE
from econ_env.config import EnvConfig, SamplingConfig
from econ_env.errors import BudgetError, ConfigError, LLMReplyError, LLMUnavailableError
from econ_env.methods import Answer, BestOfN, Debate, SelfConsistency, SingleCall, judged, vote
from econ_env.records import Problem, PromptEmbedding, Reply
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.team.rounds import Team
from econ_env.testing.scripted import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
PLAIN = DEFAULT_PROMPTS.executor(PROBLEM.question, None, None, "text")


def says(answers):
    """A script of executors by number (their answers take turns by round), and `commitment`."""

    def script(request):
        said = answers.get(request.agent or request.role)
        said = said[request.round_index % len(said)] if isinstance(said, tuple) else said
        if isinstance(said, Exception):
            raise said
        return f"The answer is {said}." if isinstance(said, int) else said

    return ScriptedLLM(script)


def team(llm, n=3, config=None):
    return Team(llm, (llm,) * n, config or EnvConfig(), rule=DEFAULT_RULE)


def run(method, seed=11) -> Answer:
    async def answered():
        return await judged(await method.answer(PROBLEM, seed), DEFAULT_RULE)

    return asyncio.run(answered())


def verdict(answer):
    judgement = answer.episode.decisions[-1].judgement
    return None if judgement is None else judgement.verdict


def tokens(answer):
    return {role: usage.tokens for role, usage in answer.usage.items()}


def test_a_single_call_is_greedy_plain_and_judged_by_its_own_words():
    llm = says({"executor_0": "2 and 2 make four. The answer is 4."})
    answer = run(SingleCall(team(llm)))
    (request,) = llm.requests
    assert (request.temperature, request.repetition_penalty, request.top_p) == (0.0, 1.0, 0.9)
    assert request.messages == PLAIN
    assert answer.text == "2 and 2 make four. The answer is 4."
    assert verdict(answer) == "correct"
    assert answer.usage["executor"].calls == 1
    assert tokens(answer)["strategy"] == tokens(answer)["commitment"] == 0


def test_self_consistency_takes_the_majority_and_asks_nobody_else():
    llm = says({"executor_0": 5, "executor_1": 4, "executor_2": 4, "executor_3": 6, "executor_4": "4.0 it is: 4.0"})
    answer = run(SelfConsistency(team(llm), samples=5))
    assert verdict(answer) == "correct"
    assert answer.text == "The answer is 4."
    assert {request.role for request in llm.requests} == {"executor"}
    assert {request.messages for request in llm.requests} == {PLAIN}
    assert {request.temperature for request in llm.requests} == {0.7}
    assert len({request.seed for request in llm.requests}) == 5
    assert [None if j is None else j.verdict for j in answer.episode.decisions[0].replies_judged] == [
        "wrong", "correct", "correct", "wrong", "correct",
    ]  # fmt: skip


def test_more_samples_keep_the_first_ones_and_other_seeds_change_all():
    llm = says({f"executor_{n}": 4 for n in range(5)})
    run(SelfConsistency(team(llm), samples=2))
    run(SelfConsistency(team(llm), samples=5))
    run(SelfConsistency(team(llm), samples=2), seed=12)
    seeds = [request.seed for request in llm.requests]
    assert seeds[:2] == seeds[2:4]
    assert not set(seeds[7:]) & set(seeds[:7])


def test_the_coordinator_chooses_the_best_of_n_from_all_valid_replies():
    llm = says({"executor_0": 5, "executor_1": LLMUnavailableError("down"), "executor_2": 4, "commitment": 4})
    answer = run(BestOfN(team(llm), samples=3))
    assert verdict(answer) == "correct"
    *asked, last = llm.requests
    assert [request.role for request in asked] == ["executor"] * 3
    assert last.role == "commitment"
    assert "Solution 1: The answer is 5." in last.messages[-1].content
    assert "Solution 2: The answer is 4." in last.messages[-1].content
    assert "Solution 3" not in last.messages[-1].content
    assert answer.usage["commitment"].calls == 1
    assert [reply.status for reply in answer.replies] == ["valid", "invalid", "valid"]


def test_debaters_read_the_others_replies_of_every_round_and_their_own():
    llm = says({"executor_0": (1, 11, 4), "executor_1": (2, 12, 4), "executor_2": (3, 13, 5)})
    answer = run(Debate(team(llm), n_rounds=3))
    assert verdict(answer) == "correct"
    assert [round_.commitment.answer for round_ in answer.rounds] == ["1", "11", "4"]
    first, *_, last = llm.requests
    assert first.messages == PLAIN
    assert last.agent == "executor_2"
    opening, debate = last.messages[: len(PLAIN)], last.messages[len(PLAIN) :]
    assert opening == PLAIN
    assert [message.role for message in debate] == ["assistant", "user", "assistant", "user"]
    assert debate[0].content == "The answer is 3."
    heard = debate[1].content
    assert "Solution 1: The answer is 1." in heard
    assert "Solution 2: The answer is 2." in heard
    assert "The answer is 3." not in heard
    assert heard.endswith(PLAIN[-1].content)
    assert "Solution 2: The answer is 12." in debate[3].content
    assert answer.usage["executor"].calls == 9


def test_a_longer_debate_begins_like_a_shorter_one():
    llm = says({f"executor_{n}": 4 for n in range(3)})
    run(Debate(team(llm), n_rounds=1))
    run(Debate(team(llm), n_rounds=2))
    assert llm.requests[:3] == llm.requests[3:6]
    assert llm.requests[3].seed != llm.requests[6].seed


def test_a_debater_whose_call_failed_still_hears_the_others_and_is_not_heard():
    llm = says({"executor_0": 4, "executor_1": (LLMReplyError("empty"), 4), "executor_2": 4})
    answer = run(Debate(team(llm), n_rounds=2))
    assert [reply.status for reply in answer.rounds[0].replies] == ["valid", "invalid", "valid"]
    again = next(r for r in llm.requests if r.agent == "executor_1" and r.round_index == 1)
    assert [message.role for message in again.messages] == [message.role for message in PLAIN]
    assert again.messages[-1].content.endswith(PLAIN[-1].content)
    assert again.messages[-1].content.count(PROBLEM.question) == 1
    assert "Solution 2: The answer is 4." in again.messages[-1].content
    other = next(r for r in llm.requests if r.agent == "executor_0" and r.round_index == 1)
    assert "Solution 1" in other.messages[-1].content
    assert "Solution 2" not in other.messages[-1].content


def test_a_debater_whose_calls_keep_failing_hears_all_rounds_and_is_asked_once():
    gone = LLMUnavailableError("gone")
    llm = says({"executor_0": (4, 5, 6), "executor_1": (gone, gone, 4)})
    run(Debate(team(llm, n=2), n_rounds=3))
    last = next(r for r in llm.requests if r.agent == "executor_1" and r.round_index == 2)
    assert last.messages[:-1] == PLAIN[:-1]
    content = last.messages[-1].content
    assert content.index("The answer is 4.") < content.index("The answer is 5.") < content.index(PROBLEM.question)
    assert content.count(PROBLEM.question) == 1


def test_a_lone_debater_is_asked_to_check_itself():
    llm = says({"executor_0": 4})
    run(Debate(team(llm, n=1), n_rounds=2))
    last = llm.requests[-1].messages[-1].content
    assert "Solution" not in last
    assert "Check your solution" in last


@pytest.mark.parametrize("make", [SingleCall, lambda t: SelfConsistency(t, 3), lambda t: BestOfN(t, 3), Debate])
def test_a_problem_without_any_valid_reply_is_failed_not_wrong_and_says_why(make):
    llm = says({f"executor_{n}": LLMUnavailableError("nobody there") for n in range(3)} | {"commitment": 4})
    answer = run(make(team(llm)))
    assert answer.rounds[-1].failed
    assert (answer.text, verdict(answer)) == (None, None)
    assert {reply.error for reply in answer.replies} == {"nobody there"}
    assert {request.role for request in llm.requests} == {"executor"}


def test_a_debate_that_breaks_down_later_is_failed_too():
    gone = LLMUnavailableError("gone")
    llm = says({f"executor_{n}": (4, gone, 4) for n in range(3)})
    answer = run(Debate(team(llm), n_rounds=3))
    assert len(answer.rounds) == 2
    assert verdict(answer) is None


@pytest.mark.parametrize("make", [SingleCall, lambda t: SelfConsistency(t, 3), Debate])
def test_replies_without_an_answer_are_judged_to_have_none(make):
    answer = run(make(team(says({f"executor_{n}": "I can not tell." for n in range(3)}))))
    assert verdict(answer) == "no_answer"
    assert answer.text == "I can not tell."


@pytest.mark.parametrize("make", [SingleCall, lambda t: SelfConsistency(t, 3), lambda t: BestOfN(t, 3), Debate])
def test_a_spent_budget_ends_the_run(make):
    llm = says({f"executor_{n}": BudgetError("spent") for n in range(3)})
    with pytest.raises(BudgetError):
        run(make(team(llm)))


@pytest.mark.parametrize("make", [lambda t: SelfConsistency(t, 0), lambda t: BestOfN(t, 0), lambda t: Debate(t, 0)])
def test_nothing_to_do_is_refused(make):
    with pytest.raises(ConfigError, match="at least one"):
        make(team(says({})))


def test_where_p_drives_top_p_the_baselines_keep_the_usual_one():
    llm = says({"executor_0": 4})
    run(SingleCall(team(llm, config=EnvConfig(sampling=SamplingConfig(second_action="top_p")))))
    assert (llm.requests[0].top_p, llm.requests[0].repetition_penalty) == (0.9, 1.0)


def test_samples_go_round_the_models_in_turn():
    models = [says({f"executor_{n}": 4 for n in range(5)}) for _ in range(2)]
    run(SelfConsistency(Team(models[0], tuple(models), EnvConfig(), rule=DEFAULT_RULE), samples=5))
    assert [len(model.requests) for model in models] == [3, 2]


def test_models_that_write_json_are_asked_for_it_in_debates_too():
    script = '{"reasoning": "2 + 2", "answer": "4"}'
    llm = ScriptedLLM(lambda request: script, small=False)
    answer = run(Debate(team(llm), n_rounds=2))
    assert verdict(answer) == "correct"
    assert "JSON" in llm.requests[-1].messages[-1].content
    assert all(request.require_json for request in llm.requests)


def reply(number, answer, text=None, status="valid"):
    return Reply(f"executor_{number}", PromptEmbedding(0.7, 1.0), text or f"It is {answer}.", answer, status)


def test_votes_count_equal_answers_together_and_a_tie_goes_to_the_first():
    counted = vote([reply(0, "3"), reply(1, "1/2"), reply(2, "0.5"), reply(3, None)], DEFAULT_RULE)
    assert (counted.answer, counted.text, counted.source) == ("1/2", "It is 1/2.", "majority")
    assert vote([reply(0, "3"), reply(1, "5")], DEFAULT_RULE).answer == "3"
    assert vote([reply(0, None, "Hm."), reply(1, "5")], DEFAULT_RULE).answer == "5"


def test_invalid_replies_have_no_vote():
    assert vote([reply(0, "3", status="invalid"), reply(1, "5")], DEFAULT_RULE).answer == "5"
    assert vote([reply(0, "3", status="invalid")], DEFAULT_RULE).source == "none"

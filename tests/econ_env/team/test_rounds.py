"""One round with a scripted model: who is asked what, and what becomes of calls that fail."""

import asyncio

import pytest

from econ_env.answers import DEFAULT_RULE
from econ_env.config import EnvConfig, LLMConfig, SamplingConfig
from econ_env.errors import BudgetError, LLMContextError, LLMReplyError, LLMRequestError, LLMUnavailableError
from econ_env.llm.protocol import ChatRequest, Completion, LLMInfo, Message
from econ_env.records import Problem, PromptEmbedding, Strategy, Usage
from econ_env.team.rounds import Team
from econ_env.testing.scripted import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
PROFILE = (PromptEmbedding(0.2, 1.0), PromptEmbedding(0.9, 1.2), PromptEmbedding(1.5, 1.4))
NO_PLAN = Strategy(None)


def play(llm, config=None, **changes):
    config = config or EnvConfig()
    team = Team(llm, (llm,) * 3, config, rule=DEFAULT_RULE)
    given = {"index": 0, "last_answer": None, "seed": 7} | changes
    return asyncio.run(team.round(PROBLEM, NO_PLAN, PROFILE, **given))


def by_role(answers):
    """A script from role (or role and agent) to a text or an error."""

    def script(request: ChatRequest) -> str:
        said = answers.get(request.agent, answers.get(request.role))
        if isinstance(said, Exception):
            raise said
        return said

    return script


def test_every_executor_gets_its_own_controls_and_seed_and_the_same_prompt():
    llm = ScriptedLLM(by_role({"executor": "The answer is 4.", "commitment": "The answer is 4."}))
    round_ = play(llm)
    asked = [request for request in llm.requests if request.role == "executor"]
    assert [(r.temperature, r.repetition_penalty, r.top_p) for r in asked] == [
        (0.2, 1.0, 0.9),
        (0.9, 1.2, 0.9),
        (1.5, 1.4, 0.9),
    ]
    assert len({r.seed for r in asked}) == 3
    assert len({r.messages for r in asked}) == 1
    assert [reply.answer for reply in round_.replies] == ["4", "4", "4"]
    assert round_.commitment.answer == "4"
    assert round_.commitment.source == "coordinator"
    assert round_.usage.calls == 4


@pytest.mark.parametrize(
    ("said", "source", "calls"),
    [
        (("4", "4.0", "\\frac{8}{2}"), "unanimous", 3),
        (("4", "4", "5"), "coordinator", 4),
        (("4", "4", LLMReplyError("empty")), "coordinator", 4),
        (("Let me think about that before I begin.",) * 3, "coordinator", 4),
    ],
)
def test_what_all_answer_need_not_be_condensed(said, source, calls):
    answers = {f"executor_{number}": said[number] for number in range(3)}
    llm = ScriptedLLM(by_role({**answers, "commitment": "The answer is 6."}))
    round_ = play(llm, EnvConfig(commitment="divided"))
    assert (round_.commitment.source, len(llm.requests)) == (source, calls)
    assert round_.commitment.answer == ("4" if source == "unanimous" else "6")
    assert (round_.commitment.text == "The answer is 4.") == (source == "unanimous")
    assert play(llm).commitment.source == "coordinator"


def test_one_executor_alone_is_condensed():
    llm = ScriptedLLM(by_role({"executor": "The answer is 4.", "commitment": "The answer is 4."}))
    team = Team(llm, (llm,), EnvConfig(commitment="divided"), rule=DEFAULT_RULE)
    round_ = asyncio.run(team.round(PROBLEM, NO_PLAN, PROFILE[:1], index=0, last_answer=None, seed=1))
    assert round_.commitment.source == "coordinator"


def test_p_can_drive_top_p_instead():
    llm = ScriptedLLM(by_role({"executor": "The answer is 4.", "commitment": "The answer is 4."}))
    config = EnvConfig(sampling=SamplingConfig(second_action="top_p"))
    team = Team(llm, (llm,), config, rule=DEFAULT_RULE)
    asyncio.run(team.round(PROBLEM, NO_PLAN, (PromptEmbedding(0.5, 0.3),), index=0, last_answer=None, seed=1))
    assert (llm.requests[0].top_p, llm.requests[0].repetition_penalty) == (0.3, 1.0)


def test_seeds_follow_the_round_seed_alone():
    first, again, other = (ScriptedLLM(by_role({"executor": "4", "commitment": "4"})) for _ in range(3))
    play(first), play(again), play(other, seed=8)
    assert [r.seed for r in first.requests] == [r.seed for r in again.requests]
    assert not {r.seed for r in first.requests} & {r.seed for r in other.requests}


def test_gold_is_never_sent():
    secret = Problem("How many?", "31337", "p")
    llm = ScriptedLLM(lambda request: "The answer is 1.")
    team = Team(llm, (llm,) * 3, EnvConfig(), rule=DEFAULT_RULE)

    async def everything():
        strategy = await team.plan(secret)
        await team.round(secret, strategy, PROFILE, index=0, last_answer="1", seed=0)

    asyncio.run(everything())
    assert not any("31337" in message.content for request in llm.requests for message in request.messages)


def test_a_failed_executor_is_invalid_and_the_others_go_on():
    script = by_role(
        {"executor": "The answer is 4.", "executor_1": LLMUnavailableError("gone"), "commitment": "The answer is 4."}
    )
    round_ = play(ScriptedLLM(script))
    assert [reply.status for reply in round_.replies] == ["valid", "invalid", "valid"]
    assert (round_.replies[1].text, round_.replies[1].answer, round_.replies[1].error) == (None, None, "gone")
    assert not round_.failed


@pytest.mark.parametrize("cluster_size", [4, 2])
def test_replies_are_heard_before_they_are_condensed(cluster_size):
    heard, before = [], []

    def script(request):
        if request.role == "executor":
            if request.agent == "executor_2":
                raise LLMReplyError("nothing")
            return f"{request.agent} says 4."
        before.append(sorted(heard))
        return "The answer is 4."

    play(ScriptedLLM(script), EnvConfig(cluster_size=cluster_size), heard=heard.append)
    assert before[-1] == sorted(heard) == ["executor_0 says 4.", "executor_1 says 4."]


def test_a_failed_commitment_falls_back_to_the_majority_and_says_so():
    script = by_role(
        {"executor": "The answer is 4.", "executor_0": "The answer is 5.", "commitment": LLMReplyError("empty")}
    )
    commitment = play(ScriptedLLM(script)).commitment
    assert (commitment.answer, commitment.source, commitment.error) == ("4", "majority", "empty")


def test_nothing_valid_is_a_failed_round_and_the_coordinator_is_not_asked():
    llm = ScriptedLLM(by_role({"executor": LLMUnavailableError("down"), "commitment": "The answer is 4."}))
    round_ = play(llm)
    assert round_.failed
    assert round_.commitment.answer is None
    assert {request.role for request in llm.requests} == {"executor"}


def test_valid_texts_without_any_answer_and_no_coordinator_is_a_failed_round():
    round_ = play(ScriptedLLM(by_role({"executor": "I do not know.", "commitment": LLMReplyError("empty")})))
    assert round_.failed


def test_a_context_that_is_too_long_hurts_only_its_own_call():
    script = by_role({"executor": "The answer is 4.", "executor_2": LLMContextError("too long"), "commitment": "4"})
    assert [r.valid for r in play(ScriptedLLM(script)).replies] == [True, True, False]


@pytest.mark.parametrize("error", [LLMRequestError("bad key"), BudgetError("spent")])
def test_errors_that_doom_the_run_are_raised(error):
    with pytest.raises(type(error)):
        play(ScriptedLLM(by_role({"executor": "4", "executor_1": error, "commitment": "4"})))


class Slow:
    info = LLMInfo("slow", "slow", "", json_mode=False, small=True)

    def __init__(self):
        self.cancelled = []

    async def complete(self, request):
        if request.agent == "executor_1":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(request.agent)
                raise
        return Completion("The answer is 4.", "stop", "slow")

    async def aclose(self): ...


def test_a_hung_call_is_left_behind_at_the_round_deadline():
    llm = Slow()
    round_ = play(llm, EnvConfig(llm=LLMConfig(round_timeout=0.05)))
    assert [reply.valid for reply in round_.replies] == [True, False, True]
    assert "within 0.05 s" in round_.replies[1].error
    assert llm.cancelled == ["executor_1"]


def test_json_is_asked_of_large_models_and_text_of_small_ones():
    for small, form in ((True, "text"), (False, "json")):
        llm = ScriptedLLM(lambda request: '{"reasoning": "2+2", "answer": "4"}', small=small)
        round_ = play(llm)
        assert all((request.json_schema is not None) == (form == "json") for request in llm.requests)
        assert all(reply.parsed_json for reply in round_.replies)
        assert [reply.answer for reply in round_.replies] == ["4"] * 3


def test_a_plan_is_redacted_and_its_seed_depends_on_the_question_alone():
    llm = ScriptedLLM(lambda request: "Add 2 and 2. That gives 4.")
    team = Team(llm, (llm,), EnvConfig(), rule=DEFAULT_RULE)
    strategy = asyncio.run(team.plan(PROBLEM))
    assert strategy.text == "Add 2 and 2."
    assert strategy.redacted
    asyncio.run(team.plan(Problem(PROBLEM.question, "5", "other")))
    assert llm.requests[0].seed == llm.requests[1].seed
    assert llm.requests[0].max_tokens == 70


def test_a_failed_plan_leaves_the_team_without_one():
    team = Team(ScriptedLLM([]), (), EnvConfig(), rule=DEFAULT_RULE)
    strategy = asyncio.run(team.plan(PROBLEM))
    assert strategy.text is None
    assert "script has ended" in strategy.error


def test_what_a_failed_call_cost_is_counted():
    error = LLMReplyError("unusable")
    error.usage = Usage(prompt_tokens=30, completion_tokens=12)
    script = by_role({"executor": "The answer is 4.", "executor_1": error, "commitment": error, "strategy": error})
    round_ = play(ScriptedLLM(script))
    assert round_.replies[1].usage == error.usage
    assert round_.commitment.usage == error.usage
    team = Team(ScriptedLLM(script), (), EnvConfig(), rule=DEFAULT_RULE)
    assert asyncio.run(team.plan(PROBLEM)).usage == error.usage


def test_more_prompts_than_executors_take_turns_and_the_first_replies_stay_as_they_are():
    models = [ScriptedLLM(lambda request: "The answer is 4.") for _ in range(2)]
    team = Team(models[0], tuple(models), EnvConfig(), rule=DEFAULT_RULE)
    prompt = (Message("user", "What is 2 + 2?"),)

    def ask(count):
        return asyncio.run(team.replies(PROBLEM, [prompt] * count, [PROFILE[0]] * count, index=0, seed=5))

    five = ask(5)
    assert [reply.agent for reply in five] == [f"executor_{number}" for number in range(5)]
    assert [len(model.requests) for model in models] == [3, 2]
    seeds = [request.seed for model in models for request in model.requests]
    assert len(set(seeds)) == 5
    ask(2)
    assert [models[0].requests[-1].seed, models[1].requests[-1].seed] == [seeds[0], seeds[3]]

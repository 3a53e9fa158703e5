"""Thought never goes on: whatever model thinks, the team uses only what it says, and keeps the rest for the record."""

import asyncio
import json
from dataclasses import asdict, replace

import pytest

from econ_env.answers import DEFAULT_RULE
from econ_env.config import EnvConfig
from econ_env.errors import LLMReplyError
from econ_env.factory import parallel_env
from econ_env.llm.protocol import Completion
from econ_env.records import Problem, PromptEmbedding, Usage
from econ_env.team.rounds import Team
from econ_env.team.thought import THOUGHT_KEPT, without_thought
from econ_env.testing.scripted import ScriptedLLM

PROBLEM = Problem("What is 2 + 2?", "4", "p1")
PROFILE = (PromptEmbedding(0.7, 1.0),) * 3
SECRET = "Hmm, 17 perhaps"
SAID = {"strategy": "Add both.", "executor": "2 + 2 = 4. The answer is 4.", "commitment": "The answer is 4."}
SPELLINGS = [
    "<think>{}</think>\n\n", "<THINKING>{}</THINKING>", "[THINK]{}[/THINK]", "<seed:think>{}</seed:think>",
    "{}</think>",
    "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>", "analysis{}.assistantfinal",
]  # fmt: skip


def played(llm, **settings):
    team = Team(llm, (llm,) * 3, EnvConfig(**settings), rule=DEFAULT_RULE)

    async def both():
        heard = []
        strategy = await team.plan(PROBLEM)
        round_ = await team.round(PROBLEM, strategy, PROFILE, index=0, last_answer=None, seed=7, heard=heard.append)
        return strategy, round_, heard

    return asyncio.run(both())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_thought_goes_neither_into_plans_nor_to_the_coordinator_nor_into_embeddings(spelling):
    llm = ScriptedLLM(lambda request: spelling.format(SECRET) + SAID[request.role])
    strategy, round_, heard = played(llm)
    assert strategy.text == SAID["strategy"]
    assert [reply.text for reply in round_.replies] == heard == [SAID["executor"]] * 3
    assert round_.commitment.text == SAID["commitment"]
    assert not any(SECRET in message.content for request in llm.requests for message in request.messages)
    assert [reply.answer for reply in round_.replies] == ["4"] * 3
    kept = [strategy, *round_.replies, round_.commitment]
    assert all(part.thought.rstrip(".") == SECRET for part in kept)
    assert json.dumps(asdict(round_)).count(SECRET) == 5  # one for the plan, which is a part of the round


def test_json_after_thought_is_json():
    said = json.dumps({"reasoning": "2 + 2", "answer": "4"})
    llm = ScriptedLLM(lambda request: f'<think>{{"answer": "17"}}</think>\n{said}', small=False)
    _, round_, _ = played(llm)
    assert all(reply.parsed_json and reply.answer == "4" and reply.text == said for reply in round_.replies)
    assert round_.commitment.parsed_json


def test_a_model_that_only_thinks_gave_no_reply_and_its_cost_is_counted():
    llm = ScriptedLLM(lambda request: f"<think>{SECRET}")
    strategy, round_, heard = played(llm)
    assert strategy.text is None
    assert heard == []
    assert round_.failed
    for part in (strategy, *round_.replies):
        assert "the model wrote only thought" in part.error
        assert part.usage.completion_tokens == 3
        assert part.usage.calls == 0


def test_infos_and_observations_know_nothing_of_thought():
    def numbers(spelling):
        llm = ScriptedLLM(lambda request: spelling.format(SECRET) + SAID[request.role])
        env = parallel_env([PROBLEM], llm=llm, embedder="hash", text_infos=True)
        env.reset(seed=0)
        actions = {agent: env.action_space(agent).low for agent in env.agents}
        observations, rewards, *_, infos = env.step(actions)
        texts = {name: value for name, value in infos["executor_0"].items() if isinstance(value, str)}
        return {agent: seen.tolist() for agent, seen in observations.items()}, rewards, texts

    plain, thinking = numbers(""), numbers("<think>{}</think>\n")
    assert thinking[1:] == plain[1:]
    assert thinking[0] == plain[0]


def test_thought_of_a_field_and_of_tags_is_kept_together_and_not_endlessly():
    done = Completion("<think>b</think>4", "stop", "m", Usage(1, 5, 5), thought="a")
    assert without_thought(done) == replace(done, text="4", thought="a\n\nb")
    assert without_thought(replace(done, text="4")) == replace(done, text="4")
    long = without_thought(replace(done, text="4", thought="x" * (THOUGHT_KEPT + 1)))
    assert long.thought == "x" * THOUGHT_KEPT + "…"
    with pytest.raises(LLMReplyError, match="only thought"):
        without_thought(replace(done, text="", thought="a"))

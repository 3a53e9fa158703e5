"""A recorded team: what it plays, how often, and what it refuses to play."""

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env import EnvConfig, Problem, PromptEmbedding, load_bank
from econ_env.answers import DEFAULT_RULE
from econ_env.llm.protocol import ChatRequest
from econ_env.recorded import RecordedTeam
from econ_env.recorded.playing import PLAYED, cast, check_playable
from econ_env.recorded.team import UNREADABLE
from econ_env.records import Confidence
from econ_env.team.prompts import DEFAULT_PROMPTS
from tests.econ_env.recorded.made_banks import COLD, HOT, bank_of, counted, refused, row, two_cells

PENALTY = 1.0


def team_of(bank, models=None, **settings):
    config = EnvConfig(**{**PLAYED, "reward": {"initial_weights": (0, 1, 0)}, **settings})
    return RecordedTeam.of(bank, models or bank.models, config, DEFAULT_PROMPTS, DEFAULT_RULE)


def ask(team, problem, temperatures, seed=0, deck=None, prompts=None, **named):
    """Replies to the plain question, at these temperatures or controls."""
    controls = [T if isinstance(T, PromptEmbedding) else PromptEmbedding(T, PENALTY) for T in temperatures]
    plain = DEFAULT_PROMPTS.executor(problem.question, None, None, "json")
    playing = team if deck is None else team.dealing(deck)
    return asyncio.run(
        playing.replies(problem, prompts or [plain] * len(controls), controls, index=0, seed=seed, **named)
    )


def rows(replies):
    return [reply.recorded.row for reply in replies]


@pytest.fixture
def cold_and_hot(tmp_path):
    return bank_of(tmp_path, two_cells())


@given(seed=st.integers(0, 2**31 - 1), temperature=st.floats(0.0, 1.5), problem=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_only_what_was_recorded_is_played(tmp_path_factory, seed, temperature, problem):
    written = two_cells()
    bank = bank_of(tmp_path_factory.mktemp("bank"), written)
    for reply in ask(team_of(bank), bank.problems[problem], [temperature] * 3, seed):
        source = written[reply.recorded.row]
        assert (source.problem, source.answer) == (f"p{problem}", reply.answer)
        assert reply.valid
        assert not (source.temperature == HOT and temperature <= COLD)
        assert not (source.temperature == COLD and temperature >= HOT)


def test_between_two_cells_accuracy_is_linear(cold_and_hot):
    team = team_of(cold_and_hot)
    for share in (0.25, 0.5, 0.9):
        temperature = COLD + share * (HOT - COLD)
        right = [ask(team, cold_and_hot.problems[0], [temperature], seed)[0].answer == "1" for seed in range(1500)]
        error = math.sqrt(share * (1 - share) / len(right))
        assert sum(right) / len(right) == pytest.approx(1 - share, abs=3.5 * error)


def test_an_episode_plays_each_reply_once_and_counts_those_that_come_again(tmp_path):
    bank = bank_of(tmp_path, counted(2, 4))
    replies = ask(team_of(bank), bank.problems[1], [0.7] * 6)
    assert sorted(rows(replies[:4])) == [4, 5, 6, 7]
    assert rows(replies[4:]) == rows(replies[:2])
    assert [reply.recorded.reused for reply in replies] == [False] * 4 + [True] * 2


def test_replies_that_would_come_again_can_be_refused(tmp_path):
    bank = bank_of(tmp_path, counted(1, 2))
    team = team_of(bank, recorded={"reuse": "refuse"})
    assert len(ask(team, bank.problems[0], [0.7] * 2)) == 2
    with refused("made.parquet has only 2 replies of m to the problem p0 with these controls; ask for fewer, or set"):
        ask(team, bank.problems[0], [0.7] * 3)


def test_all_policies_meet_the_same_replies_of_an_episode(cold_and_hot):
    problem = cold_and_hot.problems[2]
    team = team_of(cold_and_hot)
    cold, hot = (rows(ask(team, problem, [T] * 4, seed=5)) for T in (COLD, HOT))
    assert rows(ask(team, problem, [COLD, HOT, HOT, COLD], seed=5)) == [cold[0], hot[0], hot[1], cold[1]]
    assert rows(ask(team, problem, [HOT, COLD, COLD, COLD, HOT], seed=5)) == [hot[0], *cold[:3], hot[1]]
    assert rows(ask(team, problem, [COLD] * 2, seed=5)) == cold[:2]
    assert any(rows(ask(team, problem, [COLD] * 4, seed=seed)) != cold for seed in range(6, 10))


def test_a_deck_remembers_what_earlier_rounds_were_dealt(tmp_path):
    bank = bank_of(tmp_path, counted(1, 6))
    team, problem = team_of(bank), bank.problems[0]
    deck = team.new_deck(problem, 9)
    first, second = (rows(ask(team, problem, [0.7] * 3, deck=deck)) for _ in range(2))
    assert sorted(first + second) == list(range(6))
    fresh = team.new_deck(problem, 9)
    assert rows(ask(team, problem, [0.7] * 6, deck=fresh)) == first + second


def test_models_take_turns(tmp_path):
    bank = bank_of(tmp_path, counted(1, 3, ("a", "b")))
    team = team_of(bank, ["b", "a"])
    played = rows(ask(team, bank.problems[0], [0.7] * 4))
    assert [place // 3 for place in played] == [1, 0, 1, 0]
    assert team.models == ("b", "a")
    assert [member.info.backend for member in team.executors] == ["recorded"] * 2
    later = ask(team, bank.problems[0], [0.7] * 2, first=2)
    assert rows(later) == played[2:]
    assert [reply.agent for reply in later] == ["executor_2", "executor_3"]


def test_controls_outside_are_marked_and_those_that_a_bank_does_not_know_are_not(cold_and_hot, tmp_path):
    asked = [0.1, COLD, 0.5, HOT, 1.2, PromptEmbedding(0.5, 1.1)]
    marked = [reply.recorded.clipped for reply in ask(team_of(cold_and_hot), cold_and_hot.problems[0], asked)]
    assert marked == [True, False, False, False, True, True]
    bank = bank_of(tmp_path, counted(1, 3), "no_penalty.parquet")
    marked = [reply.recorded.clipped for reply in ask(team_of(bank), bank.problems[0], [PromptEmbedding(0.7, 1.4)])]
    assert marked == [False]


def test_top_p_can_be_the_second_control(tmp_path):
    written = [
        row("p", f"{top_p}{penalty}", temperature=0.7, repetition_penalty=penalty, top_p=top_p)
        for top_p in (0.5, 0.9)
        for penalty in (1.0, 1.1, 1.2)
    ]
    bank = bank_of(tmp_path, written)
    played = ask(team_of(bank, sampling={"second_action": "top_p"}), bank.problems[0], [PromptEmbedding(0.7, 0.5)])
    assert [reply.answer for reply in played] == ["0.51.0"]  # a live team sends no penalty then
    played = ask(team_of(bank, sampling={"top_p_default": 0.5}), bank.problems[0], [PromptEmbedding(0.7, 1.2)])
    assert [reply.answer for reply in played] == ["0.51.2"]


def test_a_problem_without_a_reply_in_a_cell_is_an_invalid_reply(tmp_path):
    bank = bank_of(
        tmp_path, [row("p", "1", temperature=0.2), row("q", "1", temperature=0.2), row("p", "2", temperature=1)]
    )
    there, missing = ask(team_of(bank), bank.problems[1], [0.2, 1.0])
    assert (there.status, missing.status, missing.recorded, missing.text) == ("valid", "invalid", None, None)
    assert missing.error == "made.parquet has no reply of m to the problem q with these controls"


def test_facts_of_a_reply_are_those_on_record(tmp_path):
    bank = bank_of(
        tmp_path,
        [
            row("p", "1", reply="I say 1.", tokens=7, mean_logprob=-0.5, finish_reason="stop"),
            row("q", "2"),
            row("r", None, reply=" "),
        ],
    )
    full, bare, unread = (ask(team_of(bank), problem, [0.7])[0] for problem in bank.problems)
    assert (full.text, full.answer, full.finish_reason) == ("I say 1.", "1", "stop")
    assert (full.usage.calls, full.usage.completion_tokens) == (1, 7)
    assert full.confidence == Confidence(-0.5, -0.5, 7)
    assert (bare.text, bare.answer, bare.finish_reason) == ("The answer is 2.", "2", None)
    assert (bare.usage.completion_tokens, bare.confidence) == (0, None)
    assert (unread.text, unread.answer, unread.valid) == (UNREADABLE, None, True)
    assert DEFAULT_RULE.extract(UNREADABLE).answer is None


def test_replies_are_heard(cold_and_hot):
    heard = []
    ask(team_of(cold_and_hot), cold_and_hot.problems[0], [COLD] * 2, heard=heard.append)
    assert heard == ["The answer is 1."] * 2


def test_the_plain_question_alone_can_be_asked(cold_and_hot):
    team, problem = team_of(cold_and_hot), cold_and_hot.problems[0]
    for form in ("json", "text"):
        ask(team, problem, [COLD], prompts=[DEFAULT_PROMPTS.executor(problem.question, None, None, form)])
    shown = [
        DEFAULT_PROMPTS.executor(problem.question, "Add.", None, "json"),
        DEFAULT_PROMPTS.executor(problem.question, None, "4", "json"),
        DEFAULT_PROMPTS.debate(problem.question, ["4"], [["5"]], "json"),
    ]
    for prompt in shown:
        with refused("made.parquet can't show what a plan, other replies or a last commitment would change"):
            ask(team, problem, [COLD], prompts=[prompt])


def test_problems_of_another_set_can_not_be_asked(cold_and_hot):
    team = team_of(cold_and_hot)
    for problem in (Problem("?", "1", "p9"), Problem("?", "2", "p0")):
        with refused(f"the problem {problem.id} of custom is not in made.parquet; leave the problems out to play"):
            ask(team, problem, [COLD])


def test_a_member_answers_nothing_by_itself(cold_and_hot):
    (member,) = team_of(cold_and_hot).executors
    request = ChatRequest((), "m", 0.0, 1.0, 1.0, 10, 0, role="commitment")
    with refused(r"m is on record in made.parquet, and can't answer a prompt (commitment)"):
        asyncio.run(member.complete(request))
    asyncio.run(member.aclose())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "reset"}, "made.parquet can't show what a plan changes: set strategy to off"),
        ({"strategy": "lazy"}, "made.parquet can't show what a plan changes: set strategy to off"),
        ({"commitment": "always"}, "made.parquet has no words of a coordinator: set commitment to vote"),
        ({"commitment": "divided"}, "made.parquet has no words of a coordinator: set commitment to vote"),
        ({"show_commitment": True}, "made.parquet can't show what a last commitment changes: set show_commitment"),
        ({"reward": {"initial_weights": (0.1, 0.9, 0)}}, "made.parquet has no texts of replies, so AL and CC have no"),
        ({"reward": {"initial_weights": (0, 0.9, 0.1)}}, "made.parquet has no texts of replies, so AL and CC have no"),
    ],
)
def test_settings_that_a_bank_can_not_play(cold_and_hot, settings, message):
    playable = {**PLAYED, "reward": {"initial_weights": (0, 1, 0)}}
    check_playable(EnvConfig(**playable), cold_and_hot)
    with refused(message):
        check_playable(EnvConfig(**playable | settings), cold_and_hot)


def test_texts_allow_every_term_of_the_reward(tmp_path):
    bank = bank_of(tmp_path, [row("p", "1", reply="One.")])
    check_playable(EnvConfig(**PLAYED), bank)


def test_who_plays():
    bank = load_bank("gsm8k-small7")
    one = load_bank(bank, models=["gemma-2-2b-it"])
    assert cast(bank, None, (None,), None) == bank.models
    assert cast(bank, None, (None,), 7) == bank.models
    assert cast(bank, None, ("gemma-2-2b-it",), None) == ("gemma-2-2b-it",) * 3
    assert cast(bank, None, ("gemma-2-2b-it",), 2) == ("gemma-2-2b-it",) * 2
    assert cast(bank, None, ["gemma-2-2b-it", "Qwen2-7B-Instruct"], None) == ("gemma-2-2b-it", "Qwen2-7B-Instruct")
    assert cast(one, None, (None,), 5) == ("gemma-2-2b-it",) * 5
    with refused("gsm8k-small7 has 7 models for 8 executors; say which ones play: Meta-Llama-3-8B-Instruct, "):
        cast(bank, None, (None,), 8)
    with refused("gsm8k-small7 has no model 'gemma-2-9b-it'. Did you mean 'gemma-2-2b-it'?"):
        cast(bank, None, ("gemma-2-9b-it",), None)
    with refused("gsm8k-small7 has no coordinator: leave it out, the commitment is a vote"):
        cast(bank, "gemma-2-2b-it", (None,), None)
    with refused("executors of gsm8k-small7 are named by its models: "):
        cast(bank, None, (object(),), None)

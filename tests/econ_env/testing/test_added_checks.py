"""What is offered to check one's own things finds what is wrong with them, all of it, and nothing in sound ones."""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from econ_env.answers import DEFAULT_RULE, Extracted
from econ_env.embedding import HashEmbedder
from econ_env.llm.protocol import Message
from econ_env.methods import Answer, BestOfN, Debate, SelfConsistency, SingleCall
from econ_env.records import Commitment, Problem, PromptEmbedding, Round, Strategy
from econ_env.team.prompts import DEFAULT_PROMPTS, EconPrompts
from econ_env.testing import (
    CheckError,
    check_answer_rule,
    check_dataset,
    check_embedder,
    check_method,
    check_observation_part,
    check_prompt_set,
    check_reward_term,
)


def finds(check, broken, message):
    """Whether a check says this in one of its lines."""
    with pytest.raises(CheckError) as caught:
        check(broken)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(set(lines))
    assert all(line.strip() for line in lines)
    assert any(re.search(message, line) for line in lines), lines


# Answer rules --------------------------------------------------------------------------------------------------------


class Numbers:
    name = "numbers-v1"

    def extract(self, reply):
        found = re.findall(r"-?\d+", reply)
        return Extracted(found[-1] if found else None, None, parsed_json=False)

    def same(self, answer, gold):
        return answer == gold


class Nameless(Numbers):
    name = " "


class Unbound(Numbers):
    def extract(self, reply):
        return reply


class Blank(Numbers):
    def extract(self, reply):
        return Extracted(super().extract(reply).answer or " ", None, parsed_json=False)


class Crashes(Numbers):
    def extract(self, reply):
        return Extracted(re.findall(r"-?\d+", reply)[-1], None, parsed_json=False)


class Signless(Numbers):
    def same(self, answer, gold):
        return answer.lstrip("-") == gold.lstrip("-")


class Contains(Numbers):
    def same(self, answer, gold):
        return gold in answer


class First(Numbers):
    def extract(self, reply):
        found = re.findall(r"-?\d+", reply)
        return Extracted(found[0] if found else None, None, parsed_json=False)


class Marked(Numbers):
    def extract(self, reply):
        found = re.findall(r"answer (?:is )?.*?(-?\d+)", reply.replace('"', ""))
        return Extracted(f"<{found[-1]}>" if found else None, None, parsed_json=False)

    def same(self, answer, gold):
        return answer.strip("<>") == gold.strip("<>")


class Moody(Numbers):
    def __init__(self):
        self.calls = itertools.count()

    def extract(self, reply):
        read = super().extract(reply)
        return replace(read, parsed_json=next(self.calls) % 2 == 0)


class Bound(Numbers):
    def __init__(self):
        self.lock = threading.Lock()


class MainThread(Numbers):
    def same(self, answer, gold):
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread")
        return super().same(answer, gold)


class Truthy(Numbers):
    def same(self, answer, gold):
        return re.fullmatch(re.escape(gold), answer)


@pytest.mark.parametrize("rule", [DEFAULT_RULE, Numbers()])
def test_sound_answer_rules_pass(rule):
    check_answer_rule(rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Nameless(), "name must be text"),
        (Unbound(), "must return an Extracted|must not fail"),
        (Blank(), "must be None or text that is not blank"),
        (Crashes(), r"extract\(''\) must not fail, but raised IndexError"),
        (Signless(), r"must not be accepted for '-?18'|must be False of '18' and '-18'"),
        (Contains(), "must be False of '18' and '8'"),
        (First(), r"must not be accepted for '18'"),
        (Marked(), r"the answer '<18>' as a whole reply must be read as the same answer"),
        (Moody(), "extract must be deterministic"),
        (Bound(), "must survive pickling and copying"),
        (MainThread(), "judging in threads must not fail, but raised ValueError: signal"),
        (Truthy(), "same must be True of '18' and itself"),
    ],
)
def test_broken_answer_rules_are_found_out(rule, message):
    finds(check_answer_rule, rule, message)


def test_other_forms_and_golds_can_be_asked_for():
    class Boxes(Numbers):
        def extract(self, reply):
            found = re.findall(r"\[(\w+)\]|^(\w+)$", reply)
            return Extracted(max(found[-1]) if found else None, None, parsed_json=False)

    with pytest.raises(CheckError, match="must be accepted for the gold answer '18'"):
        check_answer_rule(Boxes())
    globals()["Boxes"] = Boxes
    Boxes.__qualname__ = "Boxes"
    check_answer_rule(Boxes(), golds=("paris", "rome"), forms=("WHY So: [GOLD]",))


def test_all_violations_are_told_at_once():
    class Both(Nameless, Contains):
        pass

    with pytest.raises(CheckError) as caught:
        check_answer_rule(Both())
    assert "name must be text" in str(caught.value)
    assert "must be False of '18' and '8'" in str(caught.value)


# Embedders -----------------------------------------------------------------------------------------------------------


class Doubled(HashEmbedder):
    def encode(self, texts):
        return 2 * super().encode(texts)


class Wide(HashEmbedder):
    def encode(self, texts):
        return super().encode(texts).astype(np.float64)


class Short(HashEmbedder):
    def encode(self, texts):
        return super().encode(texts)[:, :-1]


class Lists(HashEmbedder):
    def encode(self, texts):
        return super().encode(texts).tolist()


class Centred(HashEmbedder):
    def encode(self, texts):
        rows = super().encode(texts)
        rows = rows - 0.5 * rows.mean(axis=0)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Sorted(HashEmbedder):
    def encode(self, texts):
        return super().encode(sorted(texts))


class Once(HashEmbedder):
    def encode(self, texts):
        return super().encode(list(dict.fromkeys(texts)))


class Drifts(HashEmbedder):
    calls = 0

    def encode(self, texts):
        self.calls += 1
        return np.roll(super().encode(texts), self.calls, axis=1)


class Constant(HashEmbedder):
    def encode(self, texts):
        return np.eye(self.dim, dtype=np.float32)[:1].repeat(len(texts), axis=0)


class Holds(HashEmbedder):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Unwritten(HashEmbedder):
    def encode(self, texts):
        return super().encode([text for text in texts if re.search(r"\w", text)] or ["x"])


class HasNoDim(HashEmbedder):
    def __init__(self):
        super().__init__()
        self.dim = 0


def test_a_sound_embedder_passes():
    check_embedder(HashEmbedder())


@pytest.mark.parametrize(
    ("embedder", "message"),
    [
        (Doubled(), "every row must have length 1 within 1e-3, got 2 to 2"),
        (Wide(), "rows must be float32, got float64"),
        (Short(), r"must return rows \[n, dim\] = \(8, 64\), got \(8, 63\)"),
        (Lists(), "must return an array, got list"),
        (Centred(), "must not depend on the other texts of the call"),
        (Sorted(), "in the order of the texts"),
        (Once(), "a repeated text needs a row each time"),
        (Drifts(), "the same texts must give the same rows"),
        (Constant(), "must not all have the same row"),
        (Holds(), "must survive pickling"),
        (Unwritten(), r"must return rows"),
        (HasNoDim(), "dim must be a whole number of at least 1"),
    ],
)
def test_broken_embedders_are_found_out(embedder, message):
    finds(check_embedder, embedder, message)


# Data sets -----------------------------------------------------------------------------------------------------------


def table(*pairs):
    return [{"question": question, "answer": answer} for question, answer in pairs]


SUMS = table(("1 + 1?", "2"), ("1 + 2?", "3"))


@pytest.mark.parametrize("source", ["bundled", SUMS, {"train": SUMS, "test": table(("2 + 2?", "4"))}, {"dev": SUMS}])
def test_sound_data_sets_pass(source):
    check_dataset(source)


class Shuffled:
    """Rows in another order each time."""

    def __init__(self):
        self.turn = False

    def __iter__(self):
        self.turn = not self.turn
        return iter(SUMS if self.turn else SUMS[::-1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"train": SUMS, "test": SUMS[:1]}, "no question may be in train and in test, but 1 are"),
        (table(("1 + 1?", "2"), ("1 + 1?", "3")), "one gold answer, but 1 of train have more"),
        (table(("1 + 1?", "2"), ("1 + 1?", "2")), "no question of train may come twice"),
        ([Problem("1 + 1?", "I do not know", "a")], "the judge does not accept"),
        ([Problem(" ", "2", "a")], "every question of train must have text"),
        (Shuffled(), "the same order each time"),
        ("no_such_set", "no problem set is called"),
        (table(("1 + 1?", "")), "must not fail"),
    ],
)
def test_broken_data_sets_are_found_out(source, message):
    finds(check_dataset, source, message)


# Reward terms and observation parts ----------------------------------------------------------------------------------


class Brief:
    name = "brief"

    def value(self, submission, agent):
        return 1.0 / (1.0 + len(submission.round.replies[agent].text) / 100.0)


class Unlimited(Brief):
    def value(self, submission, agent):
        return float(len(submission.round.replies[agent].text))


class Presumes(Brief):
    def value(self, submission, agent):
        return float(submission.judgement.answer.isdigit())  # a commitment may have no answer


class Crowd(Brief):
    def value(self, submission, agent):
        return 1.0 / (len(submission.round.replies) - 1)


class Counts(Brief):
    calls = 0

    def value(self, submission, agent):
        self.calls += 1
        return 1.0 / self.calls


class Meddles(Brief):
    def value(self, submission, agent):
        submission.commitment[0] = 0.5
        return 0.5


class Capital(Brief):
    name = "Capital"


class Locked(Brief):
    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Unlimited(), r"must be a number in \[0, 1\], got"),
        (Presumes(), "value must not fail, but raised AttributeError"),
        (Crowd(), "value must not fail, but raised ZeroDivisionError"),
        (Counts(), "must return the same number for the same submission"),
        (Meddles(), "must not change the submission"),
        (Capital(), "lower-case identifier"),
        (Locked(), "must survive pickling"),
        (object(), "object has no name, value"),
    ],
)
def test_broken_reward_terms_are_found_out(term, message):
    finds(check_reward_term, term, message)


def test_a_sound_reward_term_passes():
    check_reward_term(Brief())


class Length:
    name = "length"
    dim = 1

    def values(self, known):
        return [min(1.0, len(known.question) / 500.0)]


class LongLength(Length):
    def values(self, known):
        return [len(known.question)]


class NoReply(Length):
    def values(self, known):
        return [float(known.replies[-1].valid)]


class NoText(Length):
    def values(self, known):
        return [min(1.0, len(known.replies[-1].text) / 1e4)] if known.replies else [0.0]


class NoAnswer(Length):
    def values(self, known):
        return [float(known.commitments[-1].answer.isdigit())] if known.commitments else [0.0]


class TooMany(Length):
    def values(self, known):
        return [0.0] * (1 + len(known.replies))


class Clock(Length):
    calls = 0

    def values(self, known):
        self.calls += 1
        return [1.0 / self.calls]


class Question(Length):
    name = "question"


class Wired(Length):
    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (LongLength(), r"must give 1 numbers in \[-1, 1\]"),
        (NoReply(), "values must not fail, but raised IndexError"),
        (NoText(), "values must not fail, but raised TypeError"),
        (NoAnswer(), "values must not fail, but raised AttributeError"),
        (TooMany(), "must give 1 numbers"),
        (Clock(), "must return the same numbers for the same knowledge"),
        (Question(), "taken"),
        (Wired(), "must survive pickling"),
    ],
)
def test_broken_observation_parts_are_found_out(part, message):
    finds(check_observation_part, part, message)


def test_a_sound_observation_part_passes():
    check_observation_part(Length())


# Prompts -------------------------------------------------------------------------------------------------------------


class Prompts(EconPrompts):
    __slots__ = ()


class Formats(Prompts):
    __slots__ = ()

    def strategy(self, question, tokens):
        return (Message("user", ("Plan, please: " + question).format(tokens=tokens)),)


class Forgetful(Prompts):
    __slots__ = ()

    def executor(self, question, strategy, last_answer, form):
        return super().executor(question, None, None, form)


class FirstOnly(Prompts):
    __slots__ = ()

    def commitment(self, question, replies, form):
        return super().commitment(question, replies[:1], form)


class Strings(Prompts):
    __slots__ = ()

    def strategy(self, question, tokens):
        return [f"Plan: {question}"]


class LastWord(Prompts):
    __slots__ = ()

    def strategy(self, question, tokens):
        return (Message("user", question), Message("assistant", "I plan:"))


class TwoInARow(Prompts):
    __slots__ = ()

    def strategy(self, question, tokens):
        return (Message("user", "Plan this."), Message("user", question))


class LateSystem(Prompts):
    __slots__ = ()

    def strategy(self, question, tokens):
        return (Message("user", "Plan."), Message("system", "Be short."), Message("user", question))


class OtherDebate(Prompts):
    __slots__ = ()

    def debate(self, question, said, heard, form):
        return (Message("system", "You debate."), *super().debate(question, said, heard, form)[1:])


class NoJson(Prompts):
    __slots__ = ()

    def executor(self, question, strategy, last_answer, form):
        return super().executor(question, strategy, last_answer, "text")


class Tells(Prompts):
    """Knows a problem."""

    __slots__ = ()

    def executor(self, question, strategy, last_answer, form):
        system, *rest = super().executor(question, strategy, last_answer, form)
        hint = " The result is 731904." if question == "What is 2 * 365952?" else ""
        return (Message("system", system.content + hint), *rest)


class Numbered(Prompts):
    """Counts what it asked."""

    __slots__ = ("calls",)

    def __init__(self):
        object.__setattr__(self, "name", "numbered")
        object.__setattr__(self, "calls", [0])

    def strategy(self, question, tokens):
        self.calls[0] += 1
        return (Message("user", f"{self.calls[0]}. Plan: {question}"),)


def test_sound_prompts_pass():
    check_prompt_set(DEFAULT_PROMPTS)
    check_prompt_set(Prompts(), problems=[Problem("What is 2 * 365952?", "731904", "a")])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (Formats(), "strategy must not fail, but raised (KeyError|ValueError|IndexError)"),
        (Forgetful(), r"executor \(text, with a plan\) must show all of its inputs; it lacks \['Add both"),
        (FirstOnly(), r"commitment \(json\) must show all"),
        (Strings(), "strategy must return a tuple of Message"),
        (LastWord(), "strategy must end with a user message"),
        (TwoInARow(), "strategy must alternate user and assistant"),
        (LateSystem(), "strategy must have a system message first"),
        (OtherDebate(), "debate without earlier rounds must ask what executor asks"),
        (NoJson(), r"executor \(json\) must ask for JSON with the field answer"),
        (Numbered(), "strategy must ask the same each time"),
    ],
)
def test_broken_prompts_are_found_out(prompts, message):
    finds(check_prompt_set, prompts, message)


def test_prompts_that_know_gold_answers_are_found_out():
    check_prompt_set(Tells())
    problems = [Problem("What is 2 * 365952?", "731904", "a"), Problem("What is 3 * 3?", "9", "b")]
    finds(partial(check_prompt_set, problems=problems), Tells(), "reveals the gold answer '731904' of 'What is")


# Methods -------------------------------------------------------------------------------------------------------------


class Twice:
    name = "twice"

    def __init__(self, team):
        self.team = team

    async def replies(self, problem, seed):
        prompts = [self.team.prompts.executor(problem.question, None, None, "text")] * 2
        return await self.team.replies(problem, prompts, [PromptEmbedding(0.7, 1.0)] * 2, index=0, seed=seed)

    async def answer(self, problem, seed):
        replies = await self.replies(problem, seed)
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, await self.team.vote(replies))])


class Cheats(Twice):
    async def answer(self, problem, seed):
        replies = await self.replies(problem, seed)
        right = next((reply for reply in replies if reply.answer == problem.answer), replies[0])
        made = Commitment(right.text, right.answer, "majority") if right.valid else await self.team.vote(replies)
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, made)])


class AsksGold(Twice):
    async def answer(self, problem, seed):
        return await super().answer(replace(problem, question=f"{problem.question} It is {problem.answer}."), seed)


class Unseeded(Twice):
    seeds = itertools.count()

    async def answer(self, problem, seed):
        return await super().answer(problem, next(self.seeds))


class Shares(Twice):
    latest = None

    async def answer(self, problem, seed):
        self.latest = problem
        replies = await self.replies(problem, seed)
        return await super().answer(self.latest, seed) if replies else None


class Saves(Twice):
    async def answer(self, problem, seed):
        replies = await self.replies(problem, seed)
        valid = [reply for reply in replies if reply.valid] or [replies[0]]
        made = Commitment(valid[0].text or "The answer is 0.", valid[0].answer or "0", "majority")
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, made)])


class Trusts(Twice):
    async def answer(self, problem, seed):
        replies = await self.replies(problem, seed)
        assert all(reply.text for reply in replies)
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, await self.team.vote(replies))])


class Frugal(Twice):
    async def answer(self, problem, seed):
        await self.replies(problem, seed)
        return await super().answer(problem, seed)


class NoRounds(Twice):
    async def answer(self, problem, seed):
        return Answer.of(problem, seed, [])


class Nobody(Twice):
    name = ""


@pytest.mark.parametrize(
    "make", [Twice, SingleCall, partial(SelfConsistency, samples=3), partial(BestOfN, samples=3), Debate]
)
def test_sound_methods_pass(make):
    check_method(make)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Cheats, "the gold answer must not be used"),
        (AsksGold, "the gold answer must not be used|must be that of the problem asked|must not fail"),
        (Unseeded, "the same problem and seed must give the same requests"),
        (Shares, "must not affect each other"),
        (Saves, "the last round must have a commitment of source none"),
        (Trusts, r"when every other call fails,? must not fail, but raised AssertionError"),
        (Frugal, "its usage must count every call: it says 2, 4 were made"),
        (NoRounds, "an answer needs at least one round|must not fail"),
        (Nobody, "name must be text"),
        (lambda team: team.no_such_thing, "making it must not fail"),
    ],
)
def test_broken_methods_are_found_out(make, message):
    finds(check_method, make, message)

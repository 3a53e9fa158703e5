"""Judges a submitted round and computes its rewards, per executor and for the team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from econ_env.answers import AnswerRule, judge_answer
from econ_env.config import RewardConfig, Weights
from econ_env.embedding import Embeddings
from econ_env.records import Judgement, Problem, Reply, RewardParts, Round
from econ_env.rewards.added import RewardTerm, Submission, term_value
from econ_env.rewards.likelihood import own_likelihood
from econ_env.rewards.terms import action_likelihood, collaborative_contribution, nothing, novelty, task_specific, weigh


class Score(NamedTuple):
    """Judgements and rewards of a submitted round."""

    judgement: Judgement | None
    """The commitment's judgement; `None` if the round failed."""
    replies: tuple[Judgement | None, ...]
    """Each reply's judgement; `None` for an invalid or silent one."""
    rewards: tuple[RewardParts, ...]
    """One per executor: the reward of its own reply."""
    team: RewardParts
    """r_tot: the mean over the executors that have spoken; TS follows `RewardConfig.team_ts`."""


def score(
    problem: Problem,
    round_: Round,
    replies: Sequence[Embeddings | None],
    commitment: Embeddings,
    config: RewardConfig,
    weights: Weights,
    rule: AnswerRule,
    terms: Sequence[RewardTerm] = (),
) -> Score:
    """Judge a round and compute its rewards with the weights alpha.

    Args:
        problem: Has the gold answer.
        round_: The submitted round.
        replies: Unit embedding [d] of each reply, `None` for an invalid or silent one.
        commitment: Unit embedding [d] of the commitment; zeros if the round failed.
        config: Which AL, and weights inside the terms.
        weights: alpha = (AL, TS, CC), then of the further terms.
        rule: Judges the answers.
        terms: Further terms.

    Raises:
        ExtensionError: A further term is not a number in [0, 1].
        LLMRequestError: AL needs the probability of a reply, and it is unknown.
    """
    judged = judge_replies(round_.replies, problem.answer, rule)
    none = nothing([term.name for term in terms])
    if round_.failed:
        return Score(None, judged, (none,) * len(judged), none)
    verdict = judge_answer(round_.commitment.answer, problem.answer, rule)
    submission = Submission(problem, round_, verdict, judged, tuple(replies), commitment)
    valid = [row for row in replies if row is not None]
    stacked = np.array(valid) if valid else np.zeros((0, len(commitment)), np.float32)
    rewards, place = [], 0
    for agent, (reply, row, said) in enumerate(zip(round_.replies, replies, judged, strict=True)):
        if row is None or said is None:
            rewards.append(none)
            continue
        closeness = action_likelihood(row, commitment)
        al = own_likelihood(reply) if config.al == "likelihood" else closeness
        cc = collaborative_contribution(closeness, novelty(stacked, place), config.fidelity_weight)
        further = {term.name: term_value(term, submission, agent) for term in terms}
        rewards.append(weigh(al, task_specific(said.correct), cc, weights, further))
        place += 1
    spoken = [part for part, reply in zip(rewards, round_.replies, strict=True) if not reply.silent]
    return Score(verdict, judged, tuple(rewards), _team(spoken, verdict, config, weights))


def judge_replies(replies: Sequence[Reply], gold: str, rule: AnswerRule) -> tuple[Judgement | None, ...]:
    """Judge each reply by the answer that was read in it before; `None` for an invalid or silent one."""
    return tuple(judge_answer(r.answer, gold, rule) if r.valid else None for r in replies)


def agrees(round_: Round, rule: AnswerRule) -> list[bool]:
    """For each executor, whether its answer is the same as the commitment's."""
    team = round_.commitment.answer
    return [team is not None and r.answer is not None and rule.same(r.answer, team) for r in round_.replies]


def _team(rewards: Sequence[RewardParts], verdict: Judgement, config: RewardConfig, weights: Weights) -> RewardParts:
    terms = zip(*((part.al, part.ts, part.cc, *part.further.values()) for part in rewards), strict=True)
    al, mean_ts, cc, *others = np.array(list(terms)).mean(axis=1).tolist()
    further = dict(zip(rewards[0].further, others, strict=True))
    ts = task_specific(verdict.correct) if config.team_ts == "commitment" else mean_ts
    return weigh(al, ts, cc, weights, further)

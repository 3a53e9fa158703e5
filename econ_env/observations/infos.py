"""Makes the infos of a round and of a step: floats with fixed keys, one dict per agent; texts only on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from econ_env.control_names import further_of, shown_values
from econ_env.episode import Episode
from econ_env.records import Reply, Round

Infos = dict[str, dict[str, Any]]

ROUND_KEYS = (
    "temperature", "p", "valid", "answered", "agrees", "reply_confidence", "reply_confidence_lowest",
    "agreement", "team_answered", "failed", "rounds", "prompt_tokens", "completion_tokens",
    "thought_tokens", "calls",
)  # fmt: skip
"""Infos of `deliberate`; none needs the gold answer. `temperature` and `p` are those of the reply; other controls of
`sampling.controls` follow under their names. `valid`, `answered` and `agrees` are the agent's own;
`rounds` counts those of the running decision; tokens and calls are the whole episode's so far, and `thought_tokens` are
a part of `completion_tokens`. Executors that have not spoken are not valid, and `agreement` does not count them.

`reply_confidence` is the probability that the agent's model gives to its own reply, exp of the mean log-probability of
the tokens, and `reply_confidence_lowest` that of its least likely group of tokens: numbers in (0, 1], and exactly 0.0
where they are unknown (see `Confidence` and `llm.logprobs`)."""

REWARD_KEYS = (
    "reward_al", "reward_ts", "reward_cc", "correct", "team_correct", "team_reward", "team_al", "team_ts", "team_cc",
)  # fmt: skip
"""Further infos of `step`: the terms of the agent's own reply, whether its own answer was right, and the team's. With
`reward.credit: team` each agent is paid `team_reward`, and these terms stay those of its own reply."""

INFO_KEYS = ROUND_KEYS + REWARD_KEYS
"""All infos of `step`; with further reward terms, controls or a price, see `info_keys`."""

PRICE_KEYS = ("price", "team_price")
"""Infos of `step` where calls have a price or executors may stay silent: what the agent's and the team's calls cost."""

TEXT_KEYS = (
    "question", "strategy", "reply", "reply_error", "local_commitment", "commitment", "commitment_source",
)  # fmt: skip
"""Added with `text_infos`; empty where there is none. `local_commitment` is that of the agent's cluster."""


def info_keys(further: Sequence[str], controls: Sequence[str] = (), *, priced: bool = False) -> tuple[str, ...]:
    """All infos of `step`, in order.

    Args:
        further: Names of the further reward terms.
        controls: Names of the controls.
        priced: Whether there are `PRICE_KEYS`.
    """
    own = tuple(f"reward_{name}" for name in further)
    terms = own + tuple(f"team_{name}" for name in further)
    return INFO_KEYS[:2] + further_of(controls) + INFO_KEYS[2:] + terms + (PRICE_KEYS if priced else ())


def round_infos(episode: Episode, agreed: Sequence[bool]) -> Infos:
    """Infos of the last round, with `ROUND_KEYS`.

    Args:
        episode: The running one.
        agreed: For each executor whether its answer of the last round is the commitment's.
    """
    round_ = _last(episode)
    usage = episode.usage
    running = next(d for d in reversed(episode.decisions) if d.rounds)
    further = further_of(episode.controls)
    team = {
        "agreement": sum(agreed) / max(1, sum(not reply.silent for reply in round_.replies)),
        "team_answered": float(round_.commitment.answer is not None),
        "failed": float(round_.failed),
        "rounds": float(len(running.rounds)),
        "prompt_tokens": float(usage.prompt_tokens),
        "completion_tokens": float(usage.completion_tokens),
        "thought_tokens": float(usage.thought_tokens),
        "calls": float(usage.calls),
    }
    return {
        reply.agent: {
            **shown_values(reply.controls, further),
            "valid": float(reply.valid),
            "answered": float(reply.answer is not None),
            "agrees": float(same),
            **_confidence(reply),
            **team,
        }
        for reply, same in zip(round_.replies, agreed, strict=True)
    }


def step_infos(episode: Episode, agreed: Sequence[bool], *, priced: bool = False) -> Infos:
    """Infos of the decision just submitted, with `info_keys` of its further reward terms.

    Args:
        episode: The running one.
        agreed: For each executor whether its answer of the last round is the commitment's.
        priced: Whether to add `PRICE_KEYS`.
    """
    decision = next(d for d in reversed(episode.decisions) if d.submitted)
    team = decision.team_reward
    assert team is not None
    shared = {
        "team_correct": float(decision.judgement is not None and decision.judgement.correct),
        "team_reward": team.total,
        "team_al": team.al,
        "team_ts": team.ts,
        "team_cc": team.cc,
    }
    infos = round_infos(episode, agreed)
    further = {f"team_{name}": value for name, value in team.further.items()}
    for info, part, said in zip(infos.values(), decision.rewards, decision.replies_judged, strict=True):
        info.update(reward_al=part.al, reward_ts=part.ts, reward_cc=part.cc)
        info["correct"] = float(said is not None and said.correct)
        info.update(shared)
        info.update({f"reward_{name}": value for name, value in part.further.items()}, **further)
        if priced:
            info.update(price=part.price, team_price=team.price)
    return infos


def add_texts(infos: Infos, episode: Episode) -> Infos:
    """The same infos with `TEXT_KEYS`."""
    round_ = _last(episode)
    strategy = episode.strategy.text if episode.strategy is not None else None
    local = {agent: cluster.commitment.text for cluster in round_.clusters for agent in cluster.agents}
    for info, reply in zip(infos.values(), round_.replies, strict=True):
        info.update(question=episode.problem.question, strategy=strategy or "")
        info.update(reply=reply.text or "", reply_error=reply.error or "")
        info.update(local_commitment=local.get(reply.agent) or "")
        info.update(commitment=round_.commitment.text or "", commitment_source=round_.commitment.source)
    return infos


def _confidence(reply: Reply) -> dict[str, float]:
    """As probabilities: no trainer takes a missing number, and 0 is none that a reply can have."""
    found = reply.confidence
    return {
        "reply_confidence": 0.0 if found is None else found.probability,
        "reply_confidence_lowest": 0.0 if found is None else found.lowest_probability,
    }


def _last(episode: Episode) -> Round:
    round_ = episode.last_round
    assert round_ is not None
    return round_

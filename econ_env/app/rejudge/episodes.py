"""Reads and judges the texts of a recorded episode again, and makes its row of results agree; nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from econ_env.answers import AnswerRule, heaviest, judge_answer, labels_of
from econ_env.app.runs.results import Row, given_replies
from econ_env.errors import TraceError
from econ_env.records import Judgement, as_plain
from econ_env.rewards.terms import task_specific, weigh
from econ_env.team.votes import stated

Part = dict[str, Any]
"""A record of an episode, as a trace has it."""


def judged_again(episode: Part, rule: AnswerRule, team_ts: str, commitment: str = "always") -> Part:
    """A recorded episode with its answers read, counted and judged by a rule.

    A vote is counted again, a weighted one with its weights. If it was another one, its choice stays: the answer is
    that of the same reply. TS and the sums of the rewards follow the verdicts; AL, CC, further terms and prices stay as
    they were paid.

    Args:
        episode: The episode as a line of `episodes.jsonl` has it.
        rule: Reads, compares and judges.
        team_ts: The setting `reward.team_ts` of the run.
        commitment: The setting `commitment` of the run.

    Raises:
        TraceError: The text of a valid reply or of a commitment is missing.
        ProblemGoldError: The gold answer can't be read.
    """
    gold = episode["problem"]["answer"]
    weighted = commitment == "weighted"
    return {**episode, "decisions": [_decision(part, gold, rule, team_ts, weighted) for part in episode["decisions"]]}


def row_of(row: Row, episode: Part, rule: AnswerRule) -> Row:
    """The row of results of an episode that was judged again."""
    decision = episode["decisions"][-1]
    rounds = [round_ for part in episode["decisions"] for round_ in part["rounds"]]
    last, gold = decision["rounds"][-1], episode["problem"]["answer"]
    verdict = decision["judgement"]
    judged = zip(row["replies"], _replies(decision["rounds"]), decision["replies_judged"], strict=True)
    texts = [reply for round_ in rounds for reply in given_replies(round_) if reply["text"]]
    written = [made for round_ in rounds for made in _commitments(round_) if made["source"] == "coordinator"]
    return {
        **row,
        "answer": last["commitment"]["answer"],
        "verdict": "failed" if verdict is None else verdict["verdict"],
        "rule": None if verdict is None else verdict["rule"],
        "replies": [
            {**shown, "answer": reply["answer"], "verdict": reply["status"] if said is None else said["verdict"]}
            for shown, reply, said in judged
        ],
        "round_answers": [round_["commitment"]["answer"] for round_ in rounds],
        "round_verdicts": [_verdict(round_["commitment"], gold, rule) for round_ in rounds],
        "reward": None if decision["team_reward"] is None else decision["team_reward"]["total"],
        "json": sum(part["parsed_json"] for part in (*texts, *written)),
    }


def _decision(decision: Part, gold: str, rule: AnswerRule, team_ts: str, weighted: bool) -> Part:
    rounds: list[Part] = []
    for place, round_ in enumerate(decision["rounds"]):
        rounds.append(_round(round_, _replies(decision["rounds"][:place]), _replies(rounds), rule, weighted))
    found: Part = {**decision, "rounds": rounds}
    if not rounds or not (decision["judgement"] or decision["replies_judged"]):
        return found  # it was never submitted
    last = rounds[-1]
    replies = [_judged(reply, gold, rule) if _is_valid(reply) else None for reply in _replies(rounds)]
    failed = last["commitment"]["source"] == "none"
    verdict = None if failed else _judged(last["commitment"], gold, rule)
    found |= {"judgement": as_plain(verdict), "replies_judged": [as_plain(said) for said in replies]}
    if verdict is not None and decision["rewards"] and decision["weights"] is not None:
        found |= _rewards(decision, verdict, replies, team_ts)
    return found


def _rewards(decision: Part, verdict: Judgement, replies: Sequence[Judgement | None], team_ts: str) -> Part:
    paid = [
        parts if said is None else _with_ts(parts, task_specific(said.correct), decision["weights"])
        for parts, said in zip(decision["rewards"], replies, strict=True)
    ]
    ts = task_specific(verdict.correct) if team_ts == "commitment" else sum(part["ts"] for part in paid) / len(paid)
    return {"rewards": paid, "team_reward": _with_ts(decision["team_reward"], ts, decision["weights"])}


def _with_ts(parts: Part, ts: float, weights: Sequence[float]) -> Part:
    if parts["ts"] == ts:
        return parts
    price = parts.get("price", 0.0)
    paid = weigh(parts["al"], ts, parts["cc"], tuple(weights), parts.get("further", {}))
    plain: Part = as_plain(replace(paid, total=paid.total - price, price=price))
    return plain


def _replies(rounds: Sequence[Part]) -> list[Part]:
    """The replies that the last round's commitment is made from, as `Decision.replies`."""
    start = max((place for place, round_ in enumerate(rounds) if not round_.get("adds", False)), default=0)
    return [reply for round_ in rounds[start:] for reply in round_["replies"]]


def _round(round_: Part, earlier: Sequence[Part], reread: Sequence[Part], rule: AnswerRule, weighted: bool) -> Part:
    """A round with its answers read and counted again.

    Args:
        round_: The round as recorded.
        earlier: The replies that it may add to, as recorded.
        reread: The same, read by the rule.
        rule: Reads and counts.
        weighted: Whether votes were weighted.
    """
    replies = [_read(reply, rule) if _is_valid(reply) else reply for reply in round_["replies"]]
    clusters = []
    place = 0
    for cluster in round_.get("clusters", ()):
        own = slice(place, place + len(cluster["agents"]))
        made = _commitment(cluster["commitment"], round_["replies"][own], replies[own], rule)
        clusters.append({**cluster, "commitment": made})
        place = own.stop
    adds = round_.get("adds", False)
    before: Sequence[Part] = [*(earlier if adds else ()), *round_["replies"]]
    now: Sequence[Part] = [*(reread if adds else ()), *replies]
    if clusters and round_["commitment"]["source"] == "unanimous":
        before = [cluster["commitment"] for cluster in round_["clusters"]]
        now = [cluster["commitment"] for cluster in clusters]
    made = _commitment(round_["commitment"], before, now, rule, weighted)
    found: Part = {**round_, "replies": replies, "commitment": made}
    return found | {"clusters": clusters} if "clusters" in round_ else found


def _commitment(
    made: Part, before: Sequence[Part], now: Sequence[Part], rule: AnswerRule, weighted: bool = False
) -> Part:
    """A commitment with its answer read or counted again.

    Args:
        made: The commitment as recorded.
        before: What it condenses, as recorded.
        now: The same, read by the rule.
        rule: Reads and counts.
        weighted: Whether votes were weighted.
    """
    if made["source"] == "none":
        return made
    if made["source"] == "coordinator":
        return _read(made, rule)
    answer = _winner(now, rule, weighted)
    usual = _winner(before, rule, weighted)
    if usual is not None and usual != made["answer"]:  # another kind of vote: follow the reply that it chose
        chosen = [new for old, new in zip(before, now, strict=True) if old["answer"] == made["answer"]]
        answer = chosen[0]["answer"] if chosen else made["answer"]
    if answer == made["answer"]:
        return made
    if made["text"] == stated(made["answer"]):
        return {**made, "answer": answer, "text": stated(answer)}
    first = next((part for part in now if part["answer"] == answer and part["text"] is not None), None)
    text = {} if first is None else {"text": first["text"], "parsed_json": first["parsed_json"]}
    return {**made, "answer": answer, **text}


def _winner(parts: Sequence[Part], rule: AnswerRule, weighted: bool) -> str | None:
    """The answer that wins a vote, as `Team.round` counts it."""
    answers = [part["answer"] for part in parts]
    labels = labels_of(answers, rule)
    weights = [part["controls"]["weight"] for part in parts] if weighted else [1.0] * len(parts)
    counts = any(weight for weight, label in zip(weights, labels, strict=True) if label >= 0)
    place = heaviest(labels, weights if counts else None)
    return None if place is None else str(answers[place])


def _read(part: Part, rule: AnswerRule) -> Part:
    if part["text"] is None:
        raise TraceError("the text of a reply is missing")
    read = rule.extract(part["text"])
    return {**part, "answer": read.answer, "parsed_json": read.parsed_json}


def _judged(part: Mapping[str, Any], gold: str, rule: AnswerRule) -> Judgement:
    return judge_answer(part["answer"], gold, rule)


def _verdict(made: Part, gold: str, rule: AnswerRule) -> str:
    return "failed" if made["source"] == "none" else _judged(made, gold, rule).verdict


def _commitments(round_: Part) -> list[Part]:
    """The commitments that were made in this round, as `Round.commitments`."""
    asked = round_.get("asked")  # traces of earlier versions do not say, and had everyone asked
    if asked is not None and not asked:
        return []
    clusters = [part for part in round_.get("clusters", ()) if asked is None or set(asked) & set(part["agents"])]
    return [*(cluster["commitment"] for cluster in clusters), round_["commitment"]]


def _is_valid(reply: Part) -> bool:
    return bool(reply["status"] == "valid")

"""Makes result rows, one per problem, method and seed, and computes every summary from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from econ_agents.training.watch import EpisodeOutcome
from econ_env.answers import AnswerRule, judge_answer
from econ_env.config import LLMConfig, RewardConfig
from econ_env.control_names import further_of, shown_values
from econ_env.episode import Decision, Episode
from econ_env.errors import NothingJudgedError
from econ_env.llm.budget import price
from econ_env.records import Reply, Round, as_plain
from econ_env.rewards.price import costs

Row = dict[str, Any]

ROLES = ("strategy", "executor", "commitment")
_SUMMED = ("json", "texts", "prompt_tokens", "completion_tokens", "calls", "retries", "invalid")


def result_row(
    method: str,
    episode: Episode,
    *,
    stop_reasons: Sequence[str],
    residuals: Sequence[float],
    gap: float | None,
    seconds: float,
    rule: AnswerRule,
    believed: Sequence[float | None] | None = None,
    seed: int = 0,
    units: int | None = None,
    llm: LLMConfig | None = None,
    reward: RewardConfig | None = None,
) -> Row:
    """One problem's result as a flat row of plain values.

    `round_verdicts` has the judge's verdict on the commitment of each round, `failed` if there is none; `round_tokens`
    has the tokens of each round without the strategy. `recorded` counts replies that were played from a bank, in all
    rounds: `replies`, those `clipped` to the recorded controls, and those `reused` within the episode; `None` if there
    are none. `tokens`, `calls` and `usd` also count answers from the cache; `cache_hits` is the number of such calls,
    which `seconds` does not measure. `replies` are those that the answer is made from; the `confidence` of each has the
    fields of `Confidence`, and is `None` if it is unknown; `believed` is how likely the team held it to be right when
    it stopped, in [0, 1], and is `None` without an answer, and where nothing was believed. `round_asked` is how many
    executors were asked in each round; one that was not asked in the last decision is `silent`, not invalid. `price` is
    what the executors' calls cost, in reward.

    Args:
        method: The method that answered, for example `baseline` or `bne`.
        episode: The finished episode.
        stop_reasons: Why refinement ended, one per decision.
        residuals: Change of the controls in each response step.
        gap: Best-response gap of the submitted controls by the critics, if it was measured.
        seconds: Wall time of the episode.
        believed: How likely each of `replies` was believed to be right, if anything was believed.
        seed: Seed of the run.
        units: Samples or rounds, for a method whose number can be chosen.
        llm: Has the prices; without them `usd` is `None`.
        rule: Judges the rounds before the last; it has already judged the last.
        reward: Has the price of a call, for a method that is paid no rewards.
    """
    decision = episode.decisions[-1]
    last = decision.rounds[-1]
    verdict = "failed" if decision.judgement is None else decision.judgement.verdict
    usage = episode.usage
    rounds = [round_ for d in episode.decisions for round_ in d.rounds]
    texts = [reply for r in rounds for reply in r.given if reply.text]
    replies = decision.replies
    believed = [None] * len(replies) if believed is None else believed
    written = [made for r in rounds for made in r.commitments if made.source == "coordinator"]
    return {
        "method": method,
        "problem": episode.problem.id,
        "seed": seed,
        "source": episode.problem.source,
        "kind": episode.problem.kind,
        "gold": episode.problem.answer,
        "answer": last.commitment.answer,
        "verdict": verdict,
        "rule": decision.judgement.rule if decision.judgement is not None else None,
        "commitment_source": last.commitment.source,
        "units": units,
        "rounds": [len(d.rounds) for d in episode.decisions],
        "stop_reasons": list(stop_reasons),
        "residuals": list(residuals),
        "gap": gap,
        "replies": [
            _reply(reply, judged, chance, further_of(episode.controls))
            for reply, judged, chance in zip(replies, decision.replies_judged, believed, strict=True)
        ],
        "round_answers": [round_.commitment.answer for round_ in rounds],
        "round_verdicts": [_verdict(round_, episode.problem.answer, rule) for round_ in rounds],
        "round_tokens": [round_.usage.tokens for round_ in rounds],
        "round_asked": [len(round_.asked) for round_ in rounds],
        "reward": decision.team_reward.total if decision.team_reward is not None else None,
        "price": sum(_price(one, reward) for one in episode.decisions),
        "json": sum(reply.parsed_json for reply in texts) + sum(text.parsed_json for text in written),
        "texts": len(texts) + len(written),
        "tokens": {role: _role_tokens(episode, rounds, role) for role in ROLES},
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "thought_tokens": usage.thought_tokens,
        "calls": usage.calls,
        "cache_hits": usage.cache_hits,
        "usd": None if llm is None else price(llm, usage),
        "retries": usage.retries,
        "invalid": sum(not reply.valid for round_ in rounds for reply in round_.given),
        "recorded": _recorded(rounds),
        "error": last.error if decision.judgement is None else None,
        "seconds": seconds,
    }


def check_judged(rows: Iterable[Row], rounds: Iterable[Mapping[str, Any]] = ()) -> None:
    """Check that a test or training has a result.

    Args:
        rows: Its rows.
        rounds: Its rounds as lines of a trace, for rows of training, which hold no error.

    Raises:
        NothingJudgedError: There are rows, and all of them failed; the message has the last error.
    """
    failed, last = 0, ""
    for row in rows:
        if row["verdict"] != "failed":
            return
        failed, last = failed + 1, row.get("error") or last
    if failed and not last:
        errors = [reply["error"] for line in rounds for reply in line["round"]["replies"] if reply["error"]]
        last = errors[-1] if errors else last
    if failed:
        raise NothingJudgedError(
            f"no problem could be judged, all {failed} failed; the last error: {last or 'unknown'}"
        )


class Totals:
    """Sums rows one by one, so that they need not all be in memory."""

    def __init__(self) -> None:
        self.rows = 0
        self._verdicts: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._recorded: Counter[str] = Counter()
        self._price = self._seconds = 0.0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self._verdicts[row["verdict"]] += 1
        self._tokens.update(row["tokens"])
        self._sums.update({name: row[name] for name in _SUMMED}, rounds=sum(row["rounds"]))
        self._sums["thought_tokens"] += row.get("thought_tokens", 0)  # rows of earlier versions have none
        self._price += row.get("price", 0.0)  # same
        self._seconds += row["seconds"]
        self._recorded.update(row.get("recorded") or {})  # the same

    def summary(self) -> dict[str, Any]:
        """Totals of the rows.

        `n` counts judged problems; failed ones are counted separately and are neither right nor wrong. Accuracy is
        `correct / n`, `None` if nothing was judged. `json_rate` is the share of replies and commitments that were the
        requested JSON. `recorded` has the sums of what was played from a bank, `None` if nothing was.
        """
        sums, correct, failed = self._sums, self._verdicts["correct"], self._verdicts["failed"]
        judged = self.rows - failed
        return {
            "n": judged,
            "correct": correct,
            "accuracy": correct / judged if judged else None,
            "no_answer": self._verdicts["no_answer"],
            "failed": failed,
            "json_rate": sums["json"] / sums["texts"] if sums["texts"] else None,
            "tokens": {role: self._tokens[role] for role in ROLES},
            "prompt_tokens": sums["prompt_tokens"],
            "completion_tokens": sums["completion_tokens"],
            "thought_tokens": sums["thought_tokens"],
            "tokens_per_problem": sum(self._tokens.values()) / self.rows if self.rows else None,
            "price_per_problem": self._price / self.rows if self.rows else None,
            "calls": sums["calls"],
            "retries": sums["retries"],
            "invalid_replies": sums["invalid"],
            "rounds": sums["rounds"],
            "recorded": dict(self._recorded) or None,
            "seconds": self._seconds,
        }


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Totals of one method's rows; see `Totals.summary`."""
    totals = Totals()
    for row in rows:
        totals.add(row)
    return totals.summary()


def summarise_methods(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Totals of each method's rows, in order of first appearance."""
    methods: dict[str, Totals] = {}
    for row in rows:
        methods.setdefault(row["method"], Totals()).add(row)
    return {name: totals.summary() for name, totals in methods.items()}


def sum_recorded(rows: Iterable[Row], rounds: Iterable[Mapping[str, Any]] = ()) -> dict[str, int] | None:
    """Sums of what was played from a bank; `None` if nothing was.

    Args:
        rows: Rows of results.
        rounds: Lines of a trace, for episodes without such rows.
    """
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.get("recorded") or {})  # rows of earlier versions have none
    for line in rounds:
        given = given_replies(line["round"])
        played = [reply["recorded"] for reply in given if reply.get("recorded") is not None]
        total.update(_counts(played) if played else {})
    return dict(total) or None


def given_replies(round_: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The replies that were given in a round of a trace, without those that stand from earlier ones."""
    asked = round_.get("asked")  # traces of earlier versions do not say, and had everyone asked
    return [reply for reply in round_["replies"] if asked is None or reply["agent"] in asked]


def training_row(episode: int, problem: str, outcome: EpisodeOutcome) -> Row:
    """A training episode as a flat row.

    Args:
        episode: Its number, from 0.
        problem: The problem's id.
        outcome: Its outcome.
    """
    numbers = outcome.numbers
    verdict = "failed" if numbers["failed"] else "correct" if numbers["team_correct"] else "wrong"
    return {
        "episode": episode,
        "problem": problem,
        "reward": outcome.reward,
        "verdict": verdict,
        "agreement": numbers["agreement"],
        "tokens": int(numbers["prompt_tokens"] + numbers["completion_tokens"]),
        "thought_tokens": int(numbers["thought_tokens"]),
        "calls": int(numbers["calls"]),
    }


def summarise_training(rows: Iterable[Row]) -> dict[str, Any]:
    """Totals of training, with exploration; `n`, `correct` and `accuracy` as in `Totals.summary`."""
    verdicts: Counter[str] = Counter()
    tokens = thought = calls = 0
    for row in rows:
        verdicts[row["verdict"]] += 1
        tokens += row["tokens"]
        thought += row.get("thought_tokens", 0)  # rows of earlier versions have none
        calls += row["calls"]
    judged = verdicts.total() - verdicts["failed"]
    return {
        "n": judged,
        "correct": verdicts["correct"],
        "accuracy": verdicts["correct"] / judged if judged else None,
        "failed": verdicts["failed"],
        "tokens": tokens,
        "thought_tokens": thought,
        "calls": calls,
    }


def by_method(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    """Rows grouped by method, in order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["method"], []).append(row)
    return groups


def _reply(reply: Reply, judged: Any, believed: float | None, further: Sequence[str]) -> Row:
    return {
        "answer": reply.answer,
        "verdict": reply.status if judged is None else judged.verdict,
        **shown_values(reply.controls, further),
        "confidence": as_plain(reply.confidence),
        "believed": None if reply.answer is None else believed,
    }


def _recorded(rounds: Sequence[Round]) -> dict[str, int] | None:
    played = [reply.recorded for round_ in rounds for reply in round_.given if reply.recorded is not None]
    return _counts(as_plain(played)) if played else None


def _counts(played: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    marks = {name: sum(place[name] for place in played) for name in ("clipped", "reused")}
    return {"replies": len(played), **marks}


def _price(decision: Decision, reward: RewardConfig | None) -> float:
    """What the executors' calls of a decision cost: as it was paid, or by the settings."""
    if decision.team_reward is not None:
        return decision.team_reward.price
    return 0.0 if reward is None else sum(costs(decision.rounds, reward.price, reward.price_per))


def _role_tokens(episode: Episode, rounds: Sequence[Round], role: str) -> int:
    if role == "strategy":
        parts = [episode.strategy.usage] if episode.strategy is not None else []
    elif role == "executor":
        parts = [reply.usage for round_ in rounds for reply in round_.given]
    else:
        parts = [made.usage for round_ in rounds for made in round_.commitments]
    return sum(usage.tokens for usage in parts)


def _verdict(round_: Round, gold: str, rule: AnswerRule) -> str:
    return "failed" if round_.failed else judge_answer(round_.commitment.answer, gold, rule).verdict

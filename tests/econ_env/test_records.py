"""Records as plain values: exactly what `dataclasses.asdict` makes of them."""

from collections import OrderedDict
from dataclasses import asdict

from econ_env.episode import Decision, Episode
from econ_env.records import (
    Cluster,
    Commitment,
    Judgement,
    Problem,
    PromptEmbedding,
    Reply,
    RewardParts,
    Round,
    Strategy,
    Usage,
    as_plain,
)

USAGE = Usage(1, 100, 20)
REPLY = Reply("executor_0", PromptEmbedding(0.5, 1.1), "The answer is 4.", "4", "valid", usage=USAGE)
MADE = Commitment("The answer is 4.", "4", "coordinator", usage=USAGE)
RIGHT = Judgement("correct", "4", "rule-v1")


def test_an_episode_becomes_what_asdict_makes_of_it():
    parts = RewardParts(0.5, 1.0, 0.25, 0.75, {"brevity": 0.5})
    round_ = Round(0, Strategy("Add."), (REPLY, REPLY), MADE, 1.5, (Cluster(("executor_0",), MADE),))
    decision = Decision([round_, round_], RIGHT, (RIGHT, None), (parts, parts), parts, (0.1, 0.8, 0.1))
    episode = Episode(Problem("What is 2 + 2?", "4", "p1"), 7, Strategy(None), [decision, Decision()])
    plain = as_plain(episode)
    assert plain == asdict(episode) == episode.to_dict()
    assert type(plain["decisions"]) is list
    assert type(plain["decisions"][0]["rounds"][0]["replies"]) is tuple
    assert episode.round_row(0, round_)["round"] == asdict(round_)


def test_nothing_that_can_change_is_shared():
    parts = RewardParts(0.5, 1.0, 0.25, 0.75, OrderedDict(brevity=0.5))
    plain = as_plain(parts)
    assert plain["further"] == parts.further
    assert plain["further"] is not parts.further
    assert as_plain({"a": [1, (2, "b", None)]}) == {"a": [1, (2, "b", None)]}

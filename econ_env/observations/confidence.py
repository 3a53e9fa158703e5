"""Defines the observation part `reply_confidence`: how likely an executor's model found its last reply."""

from __future__ import annotations

from econ_env.observations.known import Known

NAME = "reply_confidence"


class ReplyConfidence:
    """Three numbers in [0, 1] about an executor's last reply, from its `Confidence`.

    They are the geometric mean of its tokens' probabilities, exp(mean); that of its least likely group of tokens,
    exp(lowest); and 1 if both are known. All are 0 before the first reply, after an invalid one, and where the server
    gives no log-probabilities. With this part, replies are asked for with log-probabilities.
    """

    name = NAME
    dim = 3

    def values(self, known: Known) -> list[float]:
        """The three numbers."""
        found = known.replies[-1].confidence if known.replies else None
        return [0.0, 0.0, 0.0] if found is None else [found.probability, found.lowest_probability, 1.0]

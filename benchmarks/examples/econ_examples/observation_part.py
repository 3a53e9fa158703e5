"""An observation part: length of the question, and how often the team's answer was the executor's own."""

from econ_env.observations import Known
from econ_env.testing import check_observation_part


class QuestionLength:
    """Two numbers in [0, 1]."""

    name = "question_length"
    dim = 2

    def values(self, known: Known) -> list[float]:
        """Length in thousands of characters, at most 1, and share of rounds in which the team's answer was its own."""
        own = [reply.answer for reply in known.replies]
        team = [commitment.answer for commitment in known.commitments]
        agreed = sum(mine is not None and mine == ours for mine, ours in zip(own, team, strict=True))
        return [min(1.0, len(known.question) / 1000.0), agreed / max(1, len(own))]


if __name__ == "__main__":
    check_observation_part(QuestionLength())

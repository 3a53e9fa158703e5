"""A part of an observation: how long the question is, and how many rounds the executor saw its own answer in."""

from econ_env.observations import Known
from econ_env.testing import check_observation_part


class QuestionLength:
    """Two numbers in [0, 1]."""

    name = "question_length"
    dim = 2

    def values(self, known: Known) -> list[float]:
        """Length by a thousand characters, and the share of rounds in which the team's answer was its own."""
        own = [reply.answer for reply in known.replies]
        team = [commitment.answer for commitment in known.commitments]
        agreed = sum(mine is not None and mine == ours for mine, ours in zip(own, team, strict=True))
        return [min(1.0, len(known.question) / 1000.0), agreed / max(1, len(own))]


if __name__ == "__main__":
    check_observation_part(QuestionLength())

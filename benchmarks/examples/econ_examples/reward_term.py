"""A reward term: higher for shorter replies."""

from econ_env.rewards import Submission
from econ_env.testing import check_reward_term


class Brevity:
    """1 for an empty reply, 1/2 for 40 words, near 0 for very long replies."""

    name = "brevity"

    def value(self, submission: Submission, agent: int) -> float:
        """The value of this executor's reply."""
        words = len((submission.round.replies[agent].text or "").split())
        return 40.0 / (40.0 + words)


if __name__ == "__main__":
    check_reward_term(Brevity())

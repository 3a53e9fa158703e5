"""A reward term: short replies are worth more."""

from econ_env.rewards import Submission
from econ_env.testing import check_reward_term


class Brevity:
    """1 for no words, 1/2 for forty, towards 0 for many."""

    name = "brevity"

    def value(self, submission: Submission, agent: int) -> float:
        """Of this executor's reply."""
        words = len((submission.round.replies[agent].text or "").split())
        return 40.0 / (40.0 + words)


if __name__ == "__main__":
    check_reward_term(Brevity())

"""What executors are paid: the terms AL, TS and CC, terms that are added to them, and the score of a round."""

from econ_env.rewards.added import RewardTerm, Submission

__all__ = ["RewardTerm", "Submission"]

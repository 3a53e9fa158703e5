"""Computes rewards: the terms AL, TS and CC, further terms, and the score of a round."""

from econ_env.rewards.added import RewardTerm, Submission

__all__ = ["RewardTerm", "Submission"]

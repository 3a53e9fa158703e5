"""Decides whether training ends before its last episode, by one criterion or by three."""

from __future__ import annotations

from typing import Any

from econ_agents.config import EarlyStoppingConfig


class EarlyStopping:
    """Decides after each update of a training run whether to stop.

    With all three thresholds set, training stops once commitments move less than eps_C from one round to the next, the
    team's mean reward has reached its threshold, and the loss changes less than eps_L from one update to the next, all
    for `patience` updates in a row (section 4.4 of the ECON paper). Without thresholds it stops once the mean reward
    has not risen for `patience` updates. Never before `warmup` episodes.

    Args:
        config: Thresholds, patience, warm-up.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self._config = config
        self._in_a_row = 0
        self._best_reward: float | None = None
        self._last_loss: float | None = None

    def observe(self, *, episodes: int, reward: float, loss: float | None, commitment_move: float | None) -> str | None:
        """Record an update.

        Args:
            episodes: Episodes done so far.
            reward: Mean reward of the team since the last update.
            loss: Loss of the team's value after the update; None if there is none.
            commitment_move: Mean distance between the embeddings of the last two commitments of a decision; None if
                decisions took one round.

        Returns:
            Why training should stop now, or None.
        """
        if not self._config.enabled:
            return None
        three = self._config.three_criteria
        holds = self._all_hold(reward, loss, commitment_move) if three else self._stands_still(reward)
        self._last_loss = loss
        self._in_a_row = self._in_a_row + 1 if holds and episodes >= self._config.warmup else 0
        if self._in_a_row < self._config.patience:
            return None
        return "three_criteria" if three else "reward_mean"

    def _all_hold(self, reward: float, loss: float | None, commitment_move: float | None) -> bool:
        config = self._config
        if commitment_move is None or loss is None or self._last_loss is None:
            return False
        assert config.commitment_threshold is not None
        assert config.reward_threshold is not None
        assert config.loss_threshold is not None
        settled = commitment_move < config.commitment_threshold
        return settled and reward >= config.reward_threshold and abs(loss - self._last_loss) < config.loss_threshold

    def _stands_still(self, reward: float) -> bool:
        if self._best_reward is None or reward > self._best_reward:
            self._best_reward = reward
            return False
        return True

    def state(self) -> dict[str, Any]:
        """Its state, as plain values."""
        return {"in_a_row": self._in_a_row, "best_reward": self._best_reward, "last_loss": self._last_loss}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._in_a_row = int(state["in_a_row"])
        self._best_reward, self._last_loss = state["best_reward"], state["last_loss"]

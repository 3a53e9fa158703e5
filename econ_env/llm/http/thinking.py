"""Decides in how many tokens a model may think, on top of a call's own limit."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

RAISED = 4096
"""Tokens for thought once a model is seen to use up its limit while it thinks, if `llm.thinking_tokens` is not set. At
50 tokens per second it takes 82 s."""
_LEAST = 512


class ThinkingLimits:
    """Tokens for thought by model, at one server or pool.

    Args:
        fixed: The setting `llm.thinking_tokens`; `None` starts at 0 and raises a model's limit once.
    """

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed
        self._raised: dict[str, int] = {}

    def of(self, model: str) -> int:
        """Tokens in which a model may think."""
        return self._raised.get(model, 0) if self._fixed is None else self._fixed

    def raise_for(self, model: str, sent: int, where: str) -> bool:
        """Raise a model's limit, because thought used up a call that was sent with `sent` tokens for it.

        Args:
            model: The model.
            sent: Tokens for thought in that call.
            where: The server, for the message.

        Returns:
            Whether the limit is higher now, so that the call should be sent again.
        """
        if self._fixed is not None:
            return False
        if not self._raised.get(model):
            self._raised[model] = RAISED
            logger.warning(
                "%s: %s uses up its limit of tokens while it thinks; from now on it gets %d more per call, which take "
                "longer and cost more (set llm.thinking_tokens to choose; raise llm.timeout if calls time out)",
                where,
                model,
                RAISED,
            )
        return self._raised[model] > sent

    def smaller(self, sent: int) -> int | None:
        """What to try where `sent` tokens for thought are more than the context has; `None` if nothing is left."""
        return sent // 2 if self._fixed is None and sent // 2 >= _LEAST else None

    def accepted(self, model: str, sent: int) -> None:
        """Keep a smaller limit that the server accepts."""
        if self._fixed is None and 0 < sent < self.of(model):
            self._raised[model] = sent
            logger.warning("%s gets only %d tokens to think: more do not fit into its context", model, sent)

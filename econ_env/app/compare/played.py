"""Refuses methods that the settings can't play, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from econ_env.app.compare.method_names import MethodName
from econ_env.app.run_config import RunConfig
from econ_env.errors import ConfigError
from econ_env.recorded.load import is_recorded


def check_playable(names: Sequence[MethodName], config: RunConfig) -> None:
    """Refuse methods that ask what the team can't answer.

    Raises:
        ConfigError: One lets a coordinator decide whose commitments are votes, or shows other replies to a model whose
            replies are on record.
    """
    bank = config.llm.backend if is_recorded(config.llm.backend) else None
    asked = [name.key for name in names if name.base == "best_of_n" or (bank is not None and name.base == "debate")]
    if asked and bank is not None:
        raise ConfigError(
            f"{bank} has replies to the plain question alone, and can't show what {' and '.join(asked)} would change: "
            "leave them out of --methods"
        )
    if asked and config.env_args.commitment == "vote":
        raise ConfigError(
            f"{' and '.join(asked)} let the coordinator decide, but with env_args.commitment vote it says nothing: "
            "leave them out, or set always"
        )

"""Makes methods from their names on the command line: `single`, `sc@10`, `bne`, or `my_module:MyMethod`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from econ_agents.baselines import FixedControls, RandomControls
from econ_agents.equilibrium import Acts
from econ_agents.team_spec import TeamSpec
from econ_env import plugins
from econ_env.app.compare.team_method import TeamMethod
from econ_env.app.run_config import RunConfig, make_env
from econ_env.errors import ConfigError
from econ_env.methods import (
    AdaptiveConsistency,
    BestFirst,
    BestOfN,
    BestSingle,
    ConfidenceVote,
    Debate,
    EarlyStopping,
    Fitted,
    Method,
    SelfConsistency,
    SingleCall,
    WeightedVote,
)
from econ_env.methods.debate import ROUNDS
from econ_env.methods.sampling import neutral_controls
from econ_env.methods.stopping import AGREE, THRESHOLD, WINDOW
from econ_env.observations.controls import ControlScale
from econ_env.problems.load import ProblemSet
from econ_env.team.rounds import Team

BUILT_IN: Mapping[str, str] = {
    "single": "one greedy call",
    "majority": "each executor once, majority, ties by lot",
    "best_single": "one call of the best executor",
    "sc": "self-consistency: k samples, majority",
    "adaptive_consistency": "samples until the majority is sure",
    "esc": "windows of samples until one is unanimous",
    "best_first": "the best executor first, until enough agree",
    "weighted_vote": "each executor once, votes weighted by accuracy",
    "cisc": "each executor once, votes weighted by confidence",
    "best_of_n": "N samples, the coordinator chooses",
    "fixed": "the team, the same controls for every problem",
    "random": "the team, random controls",
    "cma_es": "the team, the same controls, found by CMA-ES",
    "bandit": "the team, the same controls, found by a bandit",
    "debate": "R rounds of debate, majority",
    "no_bne": "ECON without BNE (K=1)",
    "bne": "ECON with BNE",
}
"""Names of the built-in methods, with a description."""

KIND = replace(plugins.METHODS, built_in=tuple(BUILT_IN))

SCALABLE = ("sc", "best_of_n", "debate")
"""Methods whose number of samples or rounds can be matched to a budget."""

LEARNED = ("no_bne", "bne")
"""Methods that need a learner's policy."""

FITTED = ("best_single", "best_first", "weighted_vote", "cisc")
"""Methods that first learn from the executors' replies to training problems."""

SEARCHED = ("cma_es", "bandit")
"""Methods that first search controls on training problems."""

SETTINGS: Mapping[str, tuple[float, str]] = {
    "adaptive_consistency": (THRESHOLD, "a threshold between 0.5 and 1, as in adaptive_consistency@0.8"),
    "esc": (WINDOW, "a whole number of at least 2, as in esc@2"),
    "best_first": (AGREE, "a whole number of at least 2, as in best_first@2"),
}
"""Methods with a number that is not matched to any budget: its default, and what it must be."""

EMBEDS = ("fixed", "random", *SEARCHED, *LEARNED)
"""Methods that embed texts, for observations and rewards."""


@dataclass(frozen=True)
class MethodName:
    """The parsed name of a method."""

    key: str
    """Its name in files and tables, as given."""
    base: str
    """One of `BUILT_IN`, the name of a registered method, or `module:attribute`."""
    units: int | None
    """Samples or rounds, if the name fixes them."""
    setting: float | None = None
    """The number of a method of `SETTINGS`; its default if the name has none."""

    @property
    def open(self) -> bool:
        """Whether its samples or rounds are still to be chosen."""
        return self.base in SCALABLE and self.units is None


def parse_names(text: str) -> tuple[MethodName, ...]:
    """Parse names of methods, separated by commas.

    Args:
        text: Names of `BUILT_IN`, those of `SCALABLE` and `SETTINGS` with an optional number as in `sc@10`; or
            callables that make a `Method` from a `Team`, by a name that a package registers or as `module:attribute`.

    Raises:
        ConfigError: A name is unknown, can't be imported or is repeated, or has a number that it does not take.
    """
    names = tuple(_parse(part.strip()) for part in text.split(",") if part.strip())
    keys = [name.key for name in names]
    if not keys:
        raise ConfigError(f"no method given; choose from {', '.join(BUILT_IN)}")
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f"method {twice} is named twice")
    return names


def _parse(text: str) -> MethodName:
    base, at, number = text.partition("@")
    if base not in BUILT_IN:
        plugins.load(KIND, base)  # an import error must show now
    if base in SETTINGS:
        return MethodName(text, base, None, _setting(text, base, number) if at else SETTINGS[base][0])
    if not at:
        return MethodName(text, base, None)
    if base not in SCALABLE or not number.isdecimal() or int(number) < 1:
        raise ConfigError(
            f"{text!r}: only {', '.join(SCALABLE)} take a number, at least 1, as in sc@10; so do {', '.join(SETTINGS)}"
        )
    return MethodName(text, base, int(number))


def _setting(text: str, base: str, number: str) -> float:
    """The number of a method of `SETTINGS`.

    Raises:
        ConfigError: It is none, or out of range.
    """
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    fits = 0.5 < value < 1.0 if base == "adaptive_consistency" else value >= 2.0 and value.is_integer()
    if not fits:
        raise ConfigError(f"{text!r}: {base} takes {SETTINGS[base][1]}")
    return value


class MethodMaker:
    """Makes methods that share one team.

    Args:
        config: The run's settings.
        problems: The problems.
        policy: The learner's policy, for methods of `LEARNED`.
        temperature: Temperature of every sampled reply, and of `fixed`.

    Attributes:
        fitted: What methods of `FITTED` need; set before they are made.
        found: Controls of methods of `SEARCHED`, by name; set before they are made.
    """

    def __init__(self, config: RunConfig, problems: ProblemSet, policy: Acts | None, temperature: float) -> None:
        self.config, self.problems, self.policy, self.temperature = config, problems, policy, temperature
        self.env = make_env(config, problems)
        self.fitted: Fitted | None = None
        self.found: dict[str, FixedControls] = {}

    @property
    def team(self) -> Team:
        """The models."""
        return self.env.team

    @cached_property
    def spec(self) -> TeamSpec:
        """The team's shape; the first use may load the embedder."""
        return TeamSpec.of(self.env)

    @property
    def neutral(self) -> FixedControls:
        """The controls of `fixed`."""
        controls = neutral_controls(self.team, self.temperature)
        return FixedControls(self.spec, ControlScale(self.config.sampling).action(controls))

    def default_units(self, name: MethodName) -> int:
        """Default number of samples or rounds: one sample per executor, or three rounds."""
        return ROUNDS if name.base == "debate" else self.config.n_agents

    def make(self, name: MethodName, units: int | None = None) -> Method:
        """Make the method of this name.

        Args:
            name: The parsed name.
            units: Samples or rounds, if the name does not fix them.

        Raises:
            ConfigError: It can't be made; the message says why.
        """
        if name.base in SCALABLE:
            count = name.units or units or self.default_units(name)
            if name.base == "debate":
                return Debate(self.team, count, self.temperature, name.key)
            kind = SelfConsistency if name.base == "sc" else BestOfN
            return kind(self.team, count, self.temperature, name.key)
        if name.base == "single":
            return SingleCall(self.team, name.key)
        if name.base == "majority":
            return SelfConsistency(self.team, self.config.n_agents, self.temperature, name.key, lots=True)
        if name.base in FITTED:
            return self._of_fitted(name)
        if name.setting is not None:
            return self._stopping(name, name.setting)
        if name.base in BUILT_IN:
            return self._of_team(name)
        return _plugged_in(name, self.team)

    def _stopping(self, name: MethodName, setting: float) -> Method:
        if name.base == "esc":
            return EarlyStopping(self.team, int(setting), self.temperature, name=name.key)
        return AdaptiveConsistency(self.team, setting, self.temperature, name=name.key)

    def _of_fitted(self, name: MethodName) -> Method:
        team, fitted, temperature = self.team, self.fitted, self.temperature
        assert fitted is not None, "methods of FITTED are made after the fit"
        if name.base == "best_single":
            return BestSingle(team, fitted.order[0], temperature, name.key)
        if name.base == "weighted_vote":
            return WeightedVote(team, fitted.weights, temperature, name.key)
        if name.setting is not None:
            return BestFirst(team, fitted.order, int(name.setting), temperature, name=name.key)
        assert fitted.softmax_temperature is not None, "the fit fails where no reply has a confidence"
        return ConfidenceVote(team, fitted.softmax_temperature, temperature, name.key)

    def _of_team(self, name: MethodName) -> TeamMethod:
        config = self.config
        policy: Acts | None
        if name.base == "fixed":
            policy = self.neutral
        elif name.base in SEARCHED:
            policy = self.found[name.base]
        elif name.base == "random":
            policy = RandomControls(self.spec, config.seed)
        else:
            policy = self.policy
        if policy is None:
            raise ConfigError(
                f"{name.key} needs a policy: give --policy DIR, or --train-eps N (0 for an untrained one)"
            )
        rounds = config.test_rounds if name.base == "bne" else 1
        env = partial(make_env, config, self.problems)
        return TeamMethod(name.key, policy, env, self.problems, rounds=rounds, config=config.bne)


def _plugged_in(name: MethodName, team: Team) -> Method:
    method: Method = plugins.call(KIND, name.base, team)
    return method

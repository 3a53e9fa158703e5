"""Makes methods from their names on the command line: `single`, `sc@10`, `bne`, or `my_module:MyMethod`."""

from __future__ import annotations

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
from econ_env.methods import BestOfN, Debate, Method, SelfConsistency, SingleCall
from econ_env.methods.debate import ROUNDS
from econ_env.methods.sampling import neutral_controls
from econ_env.problems.load import ProblemSet
from econ_env.team.rounds import Team

BUILT_IN: Mapping[str, str] = {
    "single": "one greedy call",
    "sc": "self-consistency: k samples, majority",
    "best_of_n": "N samples, the coordinator chooses",
    "fixed": "the team, the same controls for every problem",
    "random": "the team, random controls",
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

EMBEDS = ("fixed", "random", *LEARNED)
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

    @property
    def open(self) -> bool:
        """Whether its samples or rounds are still to be chosen."""
        return self.base in SCALABLE and self.units is None


def parse_names(text: str) -> tuple[MethodName, ...]:
    """Parse names of methods, separated by commas.

    Args:
        text: Names of `BUILT_IN`, those of `SCALABLE` with an optional number as in `sc@10`; or callables that make a
            `Method` from a `Team`, by a name that a package registers or as `module:attribute`.

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
    if not at:
        return MethodName(text, base, None)
    if base not in SCALABLE or not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{text!r}: only {', '.join(SCALABLE)} take a number, at least 1, as in sc@10")
    return MethodName(text, base, int(number))


class MethodMaker:
    """Makes methods that share one team.

    Args:
        config: The run's settings.
        problems: The problems.
        policy: The learner's policy, for methods of `LEARNED`.
        temperature: Temperature of `sc`, `best_of_n`, `debate` and `fixed`.
    """

    def __init__(self, config: RunConfig, problems: ProblemSet, policy: Acts | None, temperature: float) -> None:
        self.config, self.problems, self.policy, self.temperature = config, problems, policy, temperature
        self.env = make_env(config, problems)

    @property
    def team(self) -> Team:
        """The models."""
        return self.env.team

    @cached_property
    def spec(self) -> TeamSpec:
        """The team's shape; the first use may load the embedder."""
        return TeamSpec.of(self.env)

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
        if name.base in BUILT_IN:
            return self._of_team(name)
        return _plugged_in(name, self.team)

    def _of_team(self, name: MethodName) -> TeamMethod:
        config = self.config
        policy: Acts | None
        if name.base == "fixed":
            controls = neutral_controls(self.team, self.temperature)
            policy = FixedControls(self.spec, (controls.temperature, controls.p))
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

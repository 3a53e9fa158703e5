"""Describes a team's shape: agents, parts of an observation, controls and their bounds, reward terms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np
from gymnasium import spaces

from econ_agents.errors import TeamError

REWARD_TERMS = ("al", "ts", "cc")
"""Reward terms in their order in every array; the environment may name further ones after them."""


EMBEDDINGS = ("question", "strategy", "commitment", "reply")
"""Parts of an observation that are embeddings of texts."""


SHARED = ("question", "strategy", "commitment")
"""Parts of an observation that are the same for all agents of a team."""


SPEAK, WEIGHT = "speak", "weight"
"""Controls that say whether an agent is asked, and how much its reply counts."""

DISCUSSION = "discussion"
"""Part of an observation that says what was said in this decision; its first number is 1 if the agent has spoken."""


class ParallelSpaces(Protocol):
    """The part of a PettingZoo parallel environment that gives a team's shape."""

    possible_agents: list[str]

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Space of one agent's observation."""

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Space of one agent's action."""


@dataclass(frozen=True)
class TeamSpec:
    """Shapes and bounds of a team: all that networks need to know of an environment."""

    n_agents: int
    """N."""
    obs_dim: int
    """D, width of one agent's observation."""
    action_low: tuple[float, ...]
    """Lowest value of each control, in the environment's units."""
    action_high: tuple[float, ...]
    """Highest value of each control, in the environment's units."""
    layout: tuple[tuple[str, int, int], ...] = ()
    """Named parts of an observation as (name, start, stop); empty if the environment names none."""
    memory_shape: tuple[int, int] = (0, 0)
    """(M, F) of the part named `agent_memory`; (0, 0) without memory."""
    reward_terms: tuple[str, ...] = REWARD_TERMS
    """Names of the reward terms, in the order of their weights; AL, TS and CC come first."""
    controls: tuple[str, ...] = ()
    """Names of the controls, in the order of an action; empty if they are unknown."""
    credit: Literal["own", "team"] = field(default="own", compare=False)
    """Whether each agent is paid for its own terms or for the team's, which its Q_i then learns; as the environment's
    `reward_credit` says. A policy may act where the other holds."""
    made_with: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Plain values that the environment offers as `made_with`, so that another one like it can be made: they are kept
    with a policy, and nothing here reads them."""

    def __post_init__(self) -> None:
        if self.n_agents < 1 or self.obs_dim < 1 or not self.action_low:
            raise TeamError(f"a team needs agents, observations and actions, got {self}")
        if len(self.action_low) != len(self.action_high):
            raise TeamError("action_low and action_high differ in length")
        if self.controls and len(self.controls) != len(self.action_low):
            raise TeamError(f"{len(self.action_low)} controls need as many names, got {', '.join(self.controls)}")
        if self.reward_terms[: len(REWARD_TERMS)] != REWARD_TERMS or len({*self.reward_terms}) < len(self.reward_terms):
            raise TeamError(f"reward terms must start with {REWARD_TERMS} and come each once, got {self.reward_terms}")
        rows, features = self.memory_shape
        if rows and self.part("agent_memory") is None:
            raise TeamError("memory_shape is set, but the layout names no part agent_memory")
        start, stop = self.part("agent_memory") or (0, 0)
        if stop - start != rows * features:
            raise TeamError(
                f"agent_memory has {stop - start} values, memory_shape {self.memory_shape} needs {rows * features}"
            )

    @property
    def action_dim(self) -> int:
        """A, the number of one agent's controls."""
        return len(self.action_low)

    def part(self, name: str) -> tuple[int, int] | None:
        """Start and stop of a named part of the observation, or None if there is no such part."""
        return next(((start, stop) for part, start, stop in self.layout if part == name), None)

    def control(self, name: str) -> int | None:
        """Place of a control in an action; None if the team has no such control."""
        return self.controls.index(name) if name in self.controls else None

    @property
    def speaks(self) -> bool:
        """Whether executors may stay silent."""
        return SPEAK in self.controls

    @property
    def shared_dim(self) -> int:
        """Width of the parts that all agents share, as far as an observation starts with them."""
        first = itertools.takewhile(lambda part: part[0] in SHARED, sorted(self.layout, key=lambda part: part[1]))
        return max((stop for _, _, stop in first), default=0)

    @property
    def static_index(self) -> np.ndarray:
        """Positions [S] of an observation that are not memory."""
        start, stop = self.part("agent_memory") or (0, 0)
        return np.concatenate([np.arange(start), np.arange(stop, self.obs_dim)])

    @property
    def static_groups(self) -> np.ndarray:
        """Group number [S] of each static position: one group per text embedding, else one per position."""
        group_D = np.arange(self.obs_dim)
        for name, start, stop in self.layout:
            if name in EMBEDDINGS:
                group_D[start:stop] = start
        _, numbers = np.unique(group_D[self.static_index], return_inverse=True)
        return numbers

    def static_weights(self, reply_scale: float) -> np.ndarray:
        """Factors [S]: `reply_scale` for embeddings of strategy, reply and commitment, 1 for everything else."""
        weight_D = np.ones(self.obs_dim, np.float32)
        for name, start, stop in self.layout:
            if name in EMBEDDINGS and name != "question":
                weight_D[start:stop] = reply_scale
        weight_S: np.ndarray = weight_D[self.static_index]
        return weight_S

    @property
    def joint_action_space(self) -> spaces.Box:
        """All agents' controls in one flat Box of N * A values, in the environment's units."""
        bounds = (self.action_low, self.action_high)
        low, high = (np.tile(np.asarray(bound, np.float32), self.n_agents) for bound in bounds)
        return spaces.Box(low=low, high=high, dtype=np.float32)

    @property
    def joint_observation_space(self) -> spaces.Box:
        """All agents' observations in one Box [N, D]; unbounded, since the networks do not rely on bounds."""
        return spaces.Box(low=-np.inf, high=np.inf, shape=(self.n_agents, self.obs_dim), dtype=np.float32)

    @classmethod
    def of(cls, env: ParallelSpaces) -> Self:
        """Read the shape of a parallel environment.

        Raises:
            TeamError: Agents differ in their spaces, a space is no one-dimensional Box, or an action has no bounds.
        """
        obs_spaces = [env.observation_space(agent) for agent in env.possible_agents]
        act_spaces = [env.action_space(agent) for agent in env.possible_agents]
        obs, act = obs_spaces[0], act_spaces[0]
        if not (isinstance(obs, spaces.Box) and isinstance(act, spaces.Box) and len(obs.shape) == len(act.shape) == 1):
            raise TeamError(f"observations and actions must be one-dimensional Boxes, got {obs} and {act}")
        if any(s is not obs and s != obs for s in obs_spaces) or any(s is not act and s != act for s in act_spaces):
            raise TeamError("all agents must have equal spaces; pad them first, for example with supersuit")
        if not act.is_bounded():
            raise TeamError(f"actions need finite bounds, got {act}")
        layout, memory_shape = _named_parts(env)
        return cls(
            n_agents=len(env.possible_agents),
            obs_dim=obs.shape[0],
            action_low=tuple(float(v) for v in act.low),
            action_high=tuple(float(v) for v in act.high),
            layout=layout,
            memory_shape=memory_shape,
            reward_terms=tuple(env.reward_terms) if hasattr(env, "reward_terms") else REWARD_TERMS,
            controls=_control_names(env, act.shape[0]),
            credit="team" if hasattr(env, "reward_credit") and env.reward_credit == "team" else "own",
            made_with=dict(env.made_with) if hasattr(env, "made_with") else {},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            n_agents=int(values["n_agents"]),
            obs_dim=int(values["obs_dim"]),
            action_low=tuple(float(v) for v in values["action_low"]),
            action_high=tuple(float(v) for v in values["action_high"]),
            layout=tuple((str(name), int(start), int(stop)) for name, start, stop in values["layout"]),
            memory_shape=(int(values["memory_shape"][0]), int(values["memory_shape"][1])),
            reward_terms=tuple(str(name) for name in values.get("reward_terms", REWARD_TERMS)),
            controls=tuple(str(name) for name in values.get("controls", ())),
            credit="team" if values.get("credit") == "team" else "own",
            made_with=dict(values.get("made_with") or {}),
        )


def _control_names(env: ParallelSpaces, action_dim: int) -> tuple[str, ...]:
    """The names of the controls; none if the environment has none, or a wrapper gave its actions another width."""
    names = tuple(env.control_names) if hasattr(env, "control_names") else ()
    return names if len(names) == action_dim else ()


def _named_parts(env: ParallelSpaces) -> tuple[tuple[tuple[str, int, int], ...], tuple[int, int]]:
    """Layout and memory shape, both empty if the environment has none (the attributes are optional)."""
    if not hasattr(env, "observation_layout"):
        return (), (0, 0)
    parts: Mapping[str, slice] = env.observation_layout
    layout = tuple((name, int(part.start), int(part.stop)) for name, part in parts.items())
    if not hasattr(env, "memory_shape"):
        return tuple(item for item in layout if item[0] != "agent_memory"), (0, 0)
    rows, features = env.memory_shape
    return layout, (int(rows), int(features))

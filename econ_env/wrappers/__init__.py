"""Wraps the environment for other trainers: other actions, gymnasium's interface, and many problems at once.

| class                | for whom                                               | interface               |
|----------------------|--------------------------------------------------------|-------------------------|
| `NormalizedActions`  | policies that start at 0 or squash to [-1, 1]          | PettingZoo parallel env |
| `DiscreteActions`    | Q-learners: a grid over T and p                        | PettingZoo parallel env |
| `JointView`          | single-agent trainers: state, one action for all       | gymnasium env           |
| `TupleView`          | EPyMARL and similar tools: a tuple entry for each agent | gymnasium env           |
| `VectorTeam`         | single-agent trainers, N problems at once              | gymnasium vector env    |
| `ParallelVectorTeam` | multi-agent trainers, N problems at once               | batched parallel env    |

Wrap actions first, then choose a view: `JointView(NormalizedActions(parallel_env(...)))`. For AEC trainers there is
`econ_env.econ_v0.env`. All keep the infos, the parts of the rewards and rounds inside a
decision (`deliberate`), pass on `reward_weights`, and can be pickled and copied.
"""

from econ_env.wrappers.actions import ActionWrapper, DiscreteActions, NormalizedActions, TeamEnv
from econ_env.wrappers.joint import JointView
from econ_env.wrappers.tuples import TupleView
from econ_env.wrappers.vector import ParallelVectorTeam, VectorTeam

__all__ = [
    "ActionWrapper",
    "DiscreteActions",
    "JointView",
    "NormalizedActions",
    "ParallelVectorTeam",
    "TeamEnv",
    "TupleView",
    "VectorTeam",
]

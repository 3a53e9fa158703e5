"""Makes the environment known to gymnasium and PettingZoo by id.

| id                   | made by                               | what                                              |
|----------------------|---------------------------------------|---------------------------------------------------|
| `econ_env/Joint-v0`  | `gymnasium.make`, `gymnasium.make_vec` | `JointView`, `VectorTeam`                          |
| `econ_env/Tuple-v0`  | `gymnasium.make`                       | `TupleView` on a 5 x 5 grid of controls            |
| `econ_env/Econ-v0`   | `pettingzoo.make` (since 1.27)         | the parallel environment, or its AEC conversion    |

All take the arguments of `parallel_env`. `import econ_env` registers them; gymnasium does so by itself for an id that
names the module: `gymnasium.make("econ_env:econ_env/Joint-v0")`.
"""

from __future__ import annotations

import gymnasium
import pettingzoo


def register() -> None:
    """Register every id."""
    gymnasium.register(
        id="econ_env/Joint-v0",
        entry_point="econ_env.econ_v0:joint_env",
        vector_entry_point="econ_env.econ_v0:joint_vector_env",
    )
    gymnasium.register(
        id="econ_env/Tuple-v0",
        entry_point="econ_env.econ_v0:tuple_env",
        disable_env_checker=True,  # gymnasium's checker wants one reward, EPyMARL one for each agent
    )
    if hasattr(pettingzoo, "register"):
        pettingzoo.register("parallel", "econ_env/Econ-v0", "econ_env.econ_v0:parallel_env")
        pettingzoo.register("aec", "econ_env/Econ-v0", "econ_env.econ_v0:env")

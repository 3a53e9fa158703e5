"""Stores played episodes as a Minari data set, for trainers that learn from data alone.

Minari's data sets hold one agent's episodes with one reward each, so the joint view is stored.
Axes: N agents, A numbers of an agent's action, S state, T steps of an episode.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.wrappers.joint import Array, Info, JointView
from econ_env.wrappers.vector import together

if TYPE_CHECKING:
    from minari import MinariDataset
    from minari.data_collector import EpisodeBuffer

Act = Callable[[Array], ArrayLike]

_AT_ONCE = 1000
"""Episodes that are kept in memory before they are written."""


def store_episodes(
    dataset_id: str,
    make_env: Callable[[], JointView],
    episodes: int,
    *,
    act: Act | None = None,
    teams: int = 8,
    seed: int | None = None,
    infos: Sequence[str] = (),
    algorithm: str = "random actions",
    description: str = "A team of language models answers problems; actions say how its executors are sampled.",
) -> MinariDataset:
    """Play episodes and store them under an id, in Minari's folder (`MINARI_DATASETS_PATH`).

    Each episode has states [T + 1, S], actions [T, N * A] (or [T, N] from a grid), mean rewards [T], and in its infos
    `rewards` [T + 1, N] and what `infos` names, [T + 1, N] each; their first row, the reset's, is 0. Actions are
    stored as they are played: inside their bounds. The set names no environment to recover, since problems and models
    can be any objects.

    Args:
        dataset_id: Minari's name for the set, such as `econ/random-v0`; it must be new.
        make_env: Makes one team's joint view; teams share what it shares.
        episodes: How many episodes to play, at least 1.
        act: The action for a state [S]; random ones from the action space by default. It is called in the thread in
            which the models are called, never twice at once.
        teams: How many teams play at once, at least 1; that many problems have their model calls in flight.
        seed: Team i starts with seed + i, and random actions follow from it; `None` is new each time.
        infos: Names of infos of `step` to keep for each agent, such as `reward_ts` and `calls`.
        algorithm: What chose the actions, for the set's description.
        description: What the set is, for its readers.

    Returns:
        The stored set; `minari.load_dataset(dataset_id)` opens it again.

    Raises:
        ConfigError: Minari is not installed, the id is malformed or taken, a number is too small, an info has no such
            name, or `make_env` makes something else than a joint view.
        EconError: A model failed for good; what was written before stays.
    """
    create, path_of = _minari()
    if episodes < 1 or teams < 1:
        raise ConfigError(f"episodes and teams must be at least 1, got {episodes} and {teams}")
    try:
        taken = path_of(dataset_id).exists()
    except (ValueError, TypeError):  # the latter where the version is missing
        raise ConfigError(f"{dataset_id!r} is no id of a data set; give one such as econ/random-v0") from None
    if taken:
        raise ConfigError(f"the data set {dataset_id} exists; give another version, or delete it with `minari delete`")
    views = [_joint(make_env()) for _ in range(min(teams, episodes))]
    stored: MinariDataset | None = None
    for buffers in _played(views, act, episodes, seed, infos):
        if stored is not None:
            stored.update_dataset_from_buffer(buffers)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it asks for an author, and for an environment to recover
            stored = create(
                dataset_id,
                buffers,
                observation_space=views[0].observation_space,
                action_space=views[0].action_space,
                algorithm_name=algorithm,
                description=description,
            )
    assert stored is not None
    return stored


def _minari() -> tuple[Callable[..., MinariDataset], Callable[[str], Any]]:
    try:
        import h5py  # noqa: F401 # minari can be installed without these two, but not store
        import PIL  # noqa: F401
        from minari import create_dataset_from_buffers
        from minari.dataset.minari_dataset import parse_dataset_id
        from minari.storage import get_dataset_path
    except ImportError as error:
        raise ConfigError(f"storing episodes needs {error.name}: pip install 'econ-bne[offline]'") from None

    def path_of(dataset_id: str) -> Any:
        parse_dataset_id(dataset_id)
        return get_dataset_path(dataset_id)

    return create_dataset_from_buffers, path_of


def _joint(env: Any) -> JointView:
    if not isinstance(env, JointView):
        raise ConfigError(
            f"a Minari data set holds one agent's episodes with one reward: make_env must make a JointView, got "
            f"{type(env).__name__}"
        )
    return env


def _played(
    views: Sequence[JointView], act: Act | None, episodes: int, seed: int | None, infos: Sequence[str]
) -> Iterator[list[EpisodeBuffer]]:
    """Episodes in parts; in each, every team plays its share, since finished teams must not wait for slow ones."""
    seeds: list[int | None] = [None if seed is None else seed + number for number in range(len(views))]
    for view, s in zip(views, seeds, strict=True):
        view.action_space.seed(s)
    for start in range(0, episodes, _AT_ONCE):
        many, further = divmod(min(_AT_ONCE, episodes - start), len(views))
        shares = [many + (number < further) for number in range(len(views))]
        plays = [
            _play(view, act or partial(_random, view), share, s, infos)
            for view, share, s in zip(views, shares, seeds, strict=True)
        ]
        yield [episode for part in background.run(together(plays)) for episode in part]
        seeds = [None] * len(views)


def _random(view: JointView, _: Array) -> Any:
    return view.action_space.sample()


async def _play(
    view: JointView, act: Act, episodes: int, seed: int | None, infos: Sequence[str]
) -> list[EpisodeBuffer]:
    from minari.data_collector import EpisodeBuffer

    agents = view.parallel_env.possible_agents
    buffers = []
    for number in range(episodes):
        state, _ = await view.areset(seed=seed if number == 0 else None)
        states, actions, rewards, ends, cuts = [state], [], [], [], []
        told: dict[str, list[NDArray[np.float64]]] = {name: [np.zeros(len(agents))] for name in ("rewards", *infos)}
        over = False
        while not over:
            action = _inside(act(state), view)
            state, reward, terminated, truncated, info = await view.astep(action)
            over = terminated or truncated
            states.append(state)
            actions.append(action)
            rewards.append(reward)
            ends.append(terminated)
            cuts.append(truncated)
            told["rewards"].append(np.array(list(info["rewards"].values())))
            for name in infos:
                told[name].append(_values(info, agents, name))
        rows = {name: np.stack(values) for name, values in told.items()}
        buffers.append(
            EpisodeBuffer(
                seed=seed if number == 0 else None,
                observations=np.stack(states),
                actions=np.stack(actions),
                rewards=rewards,
                terminations=ends,
                truncations=cuts,
                infos=rows,
            )
        )
    return buffers


def _inside(action: ArrayLike, view: JointView) -> NDArray[Any]:
    """The action with the space's type and shape, and within its bounds, as the environment plays it."""
    space = view.action_space
    assert space.shape is not None
    numbers = np.asarray(action)
    if numbers.size != np.prod(space.shape):
        raise ConfigError(f"act must give an action of shape {space.shape}, got {numbers.shape}")
    numbers = numbers.reshape(space.shape).astype(space.dtype)
    return np.clip(numbers, space.low, space.high) if isinstance(space, Box) else numbers


def _values(info: Info, agents: Sequence[str], name: str) -> NDArray[np.float64]:
    try:
        return np.array([info[agent][name] for agent in agents], np.float64)
    except (KeyError, ValueError):
        known = ", ".join(key for key, value in info[agents[0]].items() if not isinstance(value, str))
        raise ConfigError(f"there is no info {name} that is a number; choose from {known}") from None

"""Takes a team's settings from a checkpoint, so that the checkpoint alone is enough to ask or test the team."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from econ_agents.config import AgentConfig
from econ_agents.device import find_device
from econ_agents.policy import EconPolicy
from econ_env import plugins
from econ_env.app.run_config import EnvArgs, RunConfig
from econ_env.config import (
    EpisodeConfig,
    ObservationConfig,
    RewardConfig,
    SamplingConfig,
    check_counted,
    parse_settings,
)
from econ_env.embedding import shared_encoder
from econ_env.errors import ConfigError, EmbeddingError
from econ_env.recorded import given_bank

_GROUPS: Mapping[str, type[SamplingConfig] | type[RewardConfig] | type[ObservationConfig]] = {
    "sampling": SamplingConfig,
    "reward": RewardConfig,
    "observation": ObservationConfig,
}
_NAMES = {"answer_rule": plugins.ANSWER_RULES, "prompts": plugins.PROMPT_SETS}


def load_trained(config: RunConfig, checkpoint: str, *, one_decision: bool) -> tuple[EconPolicy, RunConfig]:
    """The policy of a checkpoint on the device of the settings, and these settings with those of the checkpoint.

    Args:
        config: The settings that were given.
        checkpoint: Folder or hub repository.
        one_decision: As for `trained_with`.

    Raises:
        CheckpointError: There is no such checkpoint, or it can't be read.
        TeamError: It was made for teams of another size.
        ConfigError: See `trained_with`.
    """
    n_agents = config.n_agents if "n_agents" in config.model_fields_set else None
    policy = EconPolicy.from_pretrained(checkpoint, n_agents=n_agents, trust=config.trusted)
    own = trained_with(config, policy.spec.made_with, policy.config, one_decision=one_decision)
    return policy.to(find_device(config.device)), own.model_copy(update={"n_agents": policy.spec.n_agents})


def trained_with(
    config: RunConfig, made_with: Mapping[str, Any], learner: AgentConfig, *, one_decision: bool
) -> RunConfig:
    """The settings, with those of a checkpoint wherever none was given.

    What the team is (controls and bounds, memory, parts of the observation, rewards, embedder, how it commits, rules of
    its rounds) comes from the checkpoint; which models are called does not, since a file may not choose an address. A
    team that learned for a range of prices asks at the lowest, unless `reward.price` was given.

    Args:
        config: The settings that were given.
        made_with: What the checkpoint's environment was made with, as `EconParallelEnv.made_with`; empty if the
            checkpoint does not say.
        learner: The learner's settings in the checkpoint.
        one_decision: Whether an episode has one decision, as a question does, however many it had in training.

    Raises:
        ConfigError: A part is missing here, or the file names code to import; the message names it.
    """
    bne = config.bne.model_copy(update=_unset(config.bne, dict(learner.bne)))
    changed: dict[str, Any] = {"bne": bne}
    if not made_with:
        return config.model_copy(update=changed)
    for key, kind, name in _imports(made_with):
        if not _given(config, key):
            _check_here(key, kind, name)
    for name, model in _GROUPS.items():
        own = _group(config, name)
        kept = dict(made_with.get(name) or {})
        if name == "sampling" and {"controls", "second_action"} & own.model_fields_set:
            kept = {key: value for key, value in kept.items() if key not in ("controls", "second_action")}
        if name == "reward":
            kept.pop("price_max", None)  # a price for each question, drawn by lot, is for training alone
        changed[name] = parse_settings(model, {**kept, **_set(own)})
    episode = {key: value for key, value in made_with.items() if key in EpisodeConfig.model_fields}
    if one_decision:
        episode.pop("max_rounds", None)
    given, on_record = _set(config.env_args), given_bank(config.llm.backend) is not None
    if on_record and episode.get("commitment") == "weighted":
        given.pop("commitment", None)  # for a bank a vote is filled in
    changed["env_args"] = parse_settings(EnvArgs, {**episode, **given})
    changed |= _unset(config, {name: made_with[name] for name in _NAMES if name in made_with})
    filled_in = "auto", *(("none",) if on_record else ())
    if "embedder" not in config.model_fields_set or config.embedder in filled_in:
        changed["embedder"] = _embedder(made_with, config)
    try:
        check_counted(changed["sampling"], changed["env_args"])
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return config.model_copy(update=changed)


def _group(config: RunConfig, name: str) -> BaseModel:
    """A group of settings by name."""
    groups = {"sampling": config.sampling, "reward": config.reward, "observation": config.observation}
    return groups[name]


def _set(group: BaseModel) -> dict[str, Any]:
    """The settings of a group that were given; inner groups stay the same objects."""
    return {name: value for name, value in group if name in group.model_fields_set}


def _unset(group: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that were not given."""
    return {name: value for name, value in values.items() if name not in group.model_fields_set}


def _given(config: RunConfig, key: str) -> bool:
    """Whether a setting was given, by its dotted key."""
    group, _, name = key.rpartition(".")
    return name in (_group(config, group) if group else config).model_fields_set


def _imports(made_with: Mapping[str, Any]) -> Iterator[tuple[str, plugins.Kind, str]]:
    """The extensions that the checkpoint's team had: dotted key, kind and name."""
    for key, kind in _NAMES.items():
        if isinstance(made_with.get(key), str):
            yield key, kind, made_with[key]
    for name in (made_with.get("reward") or {}).get("terms", ()):
        yield "reward.terms", plugins.REWARD_TERMS, name
    for name in (made_with.get("observation") or {}).get("parts", ()):
        yield "observation.parts", plugins.OBSERVATION_PARTS, name


def _check_here(key: str, kind: plugins.Kind, name: str) -> None:
    """Refuse an extension that is not installed, or that a file would import by its path."""
    if plugins.is_path(name):
        raise ConfigError(
            f"the checkpoint was trained with the {kind.noun} {name}, and a file may not choose what is imported: if "
            f"you trust it, give --set {key}={name}"
        )
    try:
        plugins.check_name(kind, name)
    except ConfigError as error:
        raise ConfigError(
            f"the checkpoint was trained with the {kind.noun} {name}, which is missing: {error}"
        ) from None


def _embedder(made_with: Mapping[str, Any], config: RunConfig) -> str:
    """The checkpoint's embedder.

    Raises:
        ConfigError: It is not to be had here.
    """
    spec, name = made_with.get("embedder"), made_with.get("embedder_name")
    if spec is None:
        text = f"the checkpoint was trained with the embedder {name}, an object without a name: give it as --embedder"
        raise ConfigError(text)
    if plugins.is_path(spec):
        _check_here("embedder", plugins.EMBEDDERS, spec)
    try:
        shared_encoder(str(spec), config.device).encode(["text"])  # loads it
    except EmbeddingError as error:
        text = f"the checkpoint was trained with the embedder {name}, which is missing: {error}"
        raise ConfigError(text) from None
    return str(spec)

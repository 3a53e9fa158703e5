"""Defines and loads the settings of a run: one YAML file for problems, models, environment and learner."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, field_validator, model_validator

from econ_agents.config import AgentConfig
from econ_agents.plugins import BUILT_IN, MIXERS, SOLVERS, load_plugin
from econ_env.config import (
    Device,
    EnvConfig,
    EpisodeConfig,
    LLMConfig,
    Settings,
    TeamConfig,
    check_counted,
    parse_settings,
)
from econ_env.env import EconParallelEnv
from econ_env.errors import ConfigError
from econ_env.factory import parallel_env
from econ_env.llm.http.address import model_without_login, read_addresses, without_login
from econ_env.problems.load import ProblemSet
from econ_env.recorded.load import given_bank
from econ_env.recorded.playing import PLAYED, cast, played_embedder, played_weights


class EnvArgs(EpisodeConfig):
    """Settings of problems and episodes."""

    hf_dataset_path: str = "bundled"
    """`bundled`, `gsm8k` or another named set, a hub id, a path, a registered data set, `module:attribute`."""
    offline_dataset: str | None = None
    """Data set to use, with a warning, if the hub can't be reached; none means to stop."""
    dataset_split: str | None = None
    """Split to train on; by default `train`, or the only one there is."""
    test_split: str | None = None
    """Split to test on; by default `test`. If there is only one split, some of its problems are kept for testing."""
    question_field_name: str | None = None
    """Column of the question, if its name is not a usual one."""
    answer_field_name: str | None = None
    """Column of the answer, if its name is not a usual one."""
    context_field_name: str | None = None
    """Column with what comes before the question, if its name is not a usual one; empty text for none."""
    choices_field_name: str | None = None
    """Column of the choices, if its name is not a usual one; empty text for none."""
    max_question_length: int | None = Field(None, ge=1)
    """Longest question, in characters; problems with longer ones are left out."""
    max_answer_length: int | None = Field(None, ge=1)
    """Longest gold answer, in characters; problems with longer ones are left out."""
    revision: str | None = None
    """Commit, tag or branch of the data set on the hub."""


class ModelConfig(LLMConfig):
    """Location of the models, and how they are called."""

    backend: str = "auto"
    """`auto`, `local`, `local:FILE.gguf`, `together`, `simulated`, `recorded:BANK` (a Parquet file of recorded replies,
    or `gsm8k-small7`), or the URL of an OpenAI-compatible server. A list of URLs is a pool: servers with the same model
    that share the calls; `*3` after a URL gives it three times as many."""

    @property
    def calls_in_flight(self) -> int:
        """Most calls in flight at once, over all servers."""
        weights = sum(address.weight for address in read_addresses(self.backend)) if "://" in self.backend else 1.0
        return max(1, round(self.concurrency * weights))

    @field_validator("backend", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Join a list into the text that `make_llm` accepts."""
        if not isinstance(value, list):
            return value
        if not value or not all(isinstance(url, str) and "://" in url for url in value):
            raise ValueError("a list must hold only URLs of servers with the same model")
        return ",".join(value)

    @field_validator("backend")
    @classmethod
    def _without_login(cls, value: str) -> str:
        return without_login(value)


class RayConfig(Settings):
    """The Ray cluster to run on; used if one of these is set."""

    address: str | None = None
    """Address of a cluster to join; `auto` for this machine's; `local` for a new one here that ends with the run. If
    only `workers` is set, the address in the environment variable `RAY_ADDRESS`, or `local`."""
    workers: int | None = Field(None, ge=1)
    """Processes that run episodes; by default the cluster's processors minus one, at most eight."""

    @property
    def spreads(self) -> bool:
        """Whether the run uses Ray workers."""
        return self.address is not None or self.workers is not None


class RunConfig(AgentConfig, TeamConfig):
    """All settings of a run; the learner's are at the top level."""

    coordinator_model: str | None = None
    """Model of the coordinator and of local coordinators; by default the server's own."""
    executor_model: str | list[str] | None = None
    """Model of all executors, or a list with one for each: a name at `llm.backend`, or a model at a place of its own,
    as `NAME@URL`, a URL, `local:FILE.gguf` or `hub:ORG/REPO/FILE.gguf`."""
    embedder: str = "auto"
    """`auto` (MiniLM; on an accelerator bge-large if the hub has it), `minilm`, `hash`, a sentence-transformers name or
    path, a registered embedder, or `module:attribute`."""
    device: Device = "auto"
    """Where embedder, embedded engine and learner compute: `cpu`, `cuda` or `mps`. With `auto` the first two use an
    accelerator if there is one, and the learner, whose networks are small, the CPU."""
    seed: int = Field(0, ge=0)
    """Seed of the order of problems, all sampling, exploration and initial weights."""
    bne_max_iterations: int | None = Field(None, ge=1)
    """Short for `bne.max_iterations_infer`."""
    env_args: EnvArgs = EnvArgs()
    """Problems and episodes."""
    llm: ModelConfig = ModelConfig()
    """Models and calls."""
    ray: RayConfig = RayConfig()
    """Workers on a Ray cluster; by default the run is one process."""

    @field_validator("coordinator_model", "executor_model")
    @classmethod
    def _without_login(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list):
            return [model_without_login(name) for name in value]
        return None if value is None else model_without_login(value)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        infer = self.bne.max_iterations_infer
        both = self.bne_max_iterations is not None and "max_iterations_infer" in self.bne.model_fields_set
        if both and infer != self.bne_max_iterations:
            raise ValueError(
                f"bne_max_iterations {self.bne_max_iterations} contradicts bne.max_iterations_infer {infer}"
            )
        check_counted(self.sampling, self.env_args)
        if isinstance(self.executor_model, list) and len(self.executor_model) not in (1, self.n_agents):
            raise ValueError(
                f"{len(self.executor_model)} executor models for {self.n_agents} executors; give one, or one for each"
            )
        return self

    @property
    def problems_in_flight(self) -> int:
        """Problems played at once: as many as calls, since a plan or a commitment is a single call of its problem."""
        return self.llm.calls_in_flight

    @property
    def test_rounds(self) -> int:
        """Rounds K per decision in tests with BNE."""
        return self.bne.max_iterations_infer if self.bne_max_iterations is None else self.bne_max_iterations

    @property
    def trusted(self) -> tuple[str, str]:
        """Mixer and solver that a checkpoint may load, because these settings name them."""
        return self.network.mixer, self.bne.solver

    @property
    def env_device(self) -> Device:
        """Where the environment's models compute; Ray gives its workers no accelerator unless they ask for one."""
        return "cpu" if self.ray.spreads and self.device == "auto" else self.device

    def env_config(self) -> EnvConfig:
        """The environment's settings; their groups are the same objects."""
        episode = {name: value for name, value in self.env_args if name in EpisodeConfig.model_fields}
        team = {name: value for name, value in self if name in TeamConfig.model_fields}
        return EnvConfig(**episode, **{**team, "device": self.env_device})

    def agent_config(self) -> AgentConfig:
        """The learner's settings; their groups are the same objects."""
        return AgentConfig(**{name: value for name, value in self if name in AgentConfig.model_fields})


def load_run_config(
    path: Path | None, assignments: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> RunConfig:
    """Load a run's settings from a YAML file, then `key=value` assignments, then options; later ones win.

    If assignments or options choose a data set, the file's `env_args.offline_dataset` does not replace it.

    Args:
        path: The YAML file; `None` starts from the defaults.
        assignments: Settings such as `bne.max_iterations_infer=5`; values are read as YAML.
        options: Values by dotted key; `None` means not given.

    Raises:
        ConfigError: The file can't be read, or a setting is unknown or refused.
        AgentsError: A mixer or solver can't be imported.
    """
    values = _read(path) if path is not None else {}
    changes: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set needs key=value, got {text!r}")
        changes[key.strip()] = _parse(value, f"--set {key}")
    changes |= {key: value for key, value in (options or {}).items() if value is not None}
    if "env_args.hf_dataset_path" in changes:
        changes.setdefault("env_args.offline_dataset", None)
    for key, value in changes.items():
        _assign(values, key, value)
    _suit_bank(values, chosen="env_args.hf_dataset_path" in changes)
    config = parse_settings(RunConfig, values)
    if config.network.mixer not in BUILT_IN[MIXERS]:
        load_plugin(MIXERS, config.network.mixer)  # an import error must show now, not after training
    if config.bne.solver not in BUILT_IN[SOLVERS]:
        from econ_agents.equilibrium import make_solver  # loads torch, which --help does not need

        make_solver(config.bne.solver)
    return config


def _suit_bank(values: dict[str, Any], *, chosen: bool) -> None:
    """Fill in what suits a recorded team, where nothing was set: its problems, episodes, weights and size.

    Args:
        values: The settings so far; changed.
        chosen: Whether an option names the data set.

    Raises:
        BankError: There is no such bank, or it can't be read.
    """
    groups = {name: values.get(name) or {} for name in ("llm", "env_args", "reward")}
    backend = groups["llm"].get("backend") if isinstance(groups["llm"], dict) else None
    bank = given_bank(backend)
    if bank is None or not all(isinstance(group, dict) for group in groups.values()):
        return
    for name, value in PLAYED.items():
        values.setdefault("env_args", {}).setdefault(name, value)
    if not chosen:
        values["env_args"] |= {"hf_dataset_path": backend, "offline_dataset": None}
    weights = played_weights(bank)
    if weights is not None:
        values.setdefault("reward", {}).setdefault("initial_weights", weights)
    values["embedder"] = played_embedder(bank, values.get("embedder", "auto"))
    given = values.get("executor_model")
    names = given if isinstance(given, list) else [given]
    if "n_agents" not in values:
        values["n_agents"] = len(cast(bank, values.get("coordinator_model"), names, None))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"config file {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config file {path} is not UTF-8 text") from error
    values = _parse(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path} must have keys and values at its top level")
    return values


class _Loader(yaml.SafeLoader):
    """Reads YAML like `yaml.safe_load`, but rejects duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # merged keys (`<<`) may be overridden
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
            seen |= {key} if isinstance(key, Hashable) else set()
        return super().construct_mapping(node, deep)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigError(f"{where} is not valid YAML: {error.problem or error.context}{line}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {str(error).splitlines()[0]}") from error


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key}: {group} is a single value and has no keys below it")
    values[last] = value


def make_env(config: RunConfig, problems: ProblemSet, trace: Path | None = None) -> EconParallelEnv:
    """An environment over these problems.

    Args:
        config: The run's settings.
        problems: The problems.
        trace: A file to which every round is appended.
    """
    return parallel_env(
        problems,
        config=config.env_config(),
        llm=config.llm.backend,
        coordinator=config.coordinator_model,
        executors=config.executor_model,
        embedder=config.embedder,
        trace=trace,
    )

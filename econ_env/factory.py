"""Makes environments from a few plain arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from econ_env.answers import AnswerRule
from econ_env.config import EnvConfig, Settings, parse_settings
from econ_env.embedding import Embedder
from econ_env.env import EconParallelEnv
from econ_env.errors import ConfigError
from econ_env.llm.protocol import LLM
from econ_env.observations.added import ObservationPart
from econ_env.problems.load import ProblemSet, ProblemStream, Source, load_problems
from econ_env.recorded.bank import Bank
from econ_env.recorded.load import given_bank
from econ_env.recorded.playing import PLAYED, cast, played_embedder, played_weights
from econ_env.rewards.added import RewardTerm
from econ_env.team.prompts import PromptSet


def parallel_env(
    problems: Source | ProblemSet | ProblemStream | None = None,
    *,
    split: str | None = None,
    question_field: str | None = None,
    answer_field: str | None = None,
    context_field: str | None = None,
    choices_field: str | None = None,
    n_agents: int | None = None,
    llm: str | LLM | Bank = "auto",
    coordinator: str | LLM | None = None,
    executors: str | LLM | Sequence[str | LLM] | None = None,
    embedder: str | Embedder = "auto",
    strategy: Literal["reset", "lazy", "off"] | None = None,
    max_rounds: int | None = None,
    cluster_size: int | None = None,
    reward_weights: Sequence[float] | None = None,
    answer_rule: str | AnswerRule | None = None,
    prompts: str | PromptSet | None = None,
    reward_terms: Sequence[str | RewardTerm] | None = None,
    observation_parts: Sequence[str | ObservationPart] | None = None,
    text_infos: bool | None = None,
    render_mode: str | None = None,
    trace: str | Path | None = None,
    config: EnvConfig | Mapping[str, Any] | None = None,
) -> EconParallelEnv:
    """An environment in which a team of language models answers math problems.

    Args:
        problems: `bundled` (the default), `gsm8k` or another named set, a hub id, a path, a `Dataset`, or a list (see
            `load_problems`). A recorded team plays those of its bank.
        split: Split of the set; `train` by default.
        question_field: Column of the question, where it has another name.
        answer_field: Column of the answer, where it has another name.
        context_field: Column with what comes before the question, where it has another name; `""` for none.
        choices_field: Column of the choices, where it has another name; `""` for none.
        n_agents: Number of executors; 3 by default.
        llm: `auto` (Together if `TOGETHER_API_KEY` is set, else `OPENAI_BASE_URL`, else a model run in this process),
            `local`, `local:FILE.gguf`, `together`, `simulated`, the URL of an OpenAI-compatible server, or an `LLM`.
            `recorded:BANK` or a `Bank` plays recorded replies: each executor is one of its models (all of them, unless
            `executors` names some), plans are off, and commitments are votes.
        coordinator: Name of the coordinators' model; by default the server's own. An `LLM` if it is on another server.
        executors: Name of the executors' model at `llm`, or a list with one name per executor. `NAME@URL` or a URL is
            a model at a server of its own, and an `LLM` in place of a name is called directly, so executors can be on
            different servers.
        embedder: `auto` (MiniLM; on an accelerator bge-large if the hub has it; `none` where a bank has no text),
            `minilm`, `hash`, `none`, a sentence-transformers name or path, or an `Embedder`.
        strategy: When the coordinator plans: at `reset` (default), `lazy` (at the first round), or `off`.
        max_rounds: Decisions of an episode; 1 by default.
        cluster_size: Most executors per coordinator, 4 by default. Larger teams are split into clusters with a local
            coordinator each; a global one merges the local commitments. 0 keeps every team flat.
        reward_weights: alpha = (AL, TS, CC), in [0, 1], summing to 1; (0.1, 0.8, 0.1) by default. Weights of
            further terms follow.
        answer_rule: Reads and judges answers: `econ` (default), or an `AnswerRule`. This and the next three arguments
            also take names that other packages register, and `module:attribute`.
        prompts: The prompts of the models: `econ` (default), or a `PromptSet`.
        reward_terms: A list of `RewardTerm`, added to AL, TS and CC.
        observation_parts: A list of `ObservationPart`, added to the standard parts.
        text_infos: Whether the infos of `step` also carry texts.
        render_mode: `None`, `human` or `ansi`.
        trace: A file to which every round is appended as it ends, as a line of JSON.
        config: All settings, as an `EnvConfig` or a mapping with its keys, such as `{"device": "cpu"}`; the arguments
            above override it.

    Raises:
        ConfigError: A setting is unknown, out of range or contradicts another.
        ProblemError: The problems can't be loaded.
    """
    settings = _settings(
        config,
        reward_weights,
        {
            "n_agents": n_agents,
            "strategy": strategy,
            "max_rounds": max_rounds,
            "cluster_size": cluster_size,
            "text_infos": text_infos,
        },
    )
    bank = given_bank(llm)
    if bank is not None:
        settings = _played(settings, bank, coordinator, executors)
        problems = bank.problems if problems is None else problems
        embedder = played_embedder(bank, embedder)
    own = given_bank(problems) if isinstance(problems, str) else None
    problems = problems if own is None else own.problems
    names = tuple(executors) if isinstance(executors, Sequence) and not isinstance(executors, str) else (executors,)
    if len(names) not in (1, settings.n_agents):
        raise ConfigError(f"{len(names)} executor models for {settings.n_agents} executors; give one, or one for each")
    if render_mode is not None and render_mode not in EconParallelEnv.metadata["render_modes"]:
        raise ConfigError(f"render_mode must be None, 'human' or 'ansi', got {render_mode!r}")
    if not isinstance(problems, ProblemSet | ProblemStream):
        problems = load_problems(
            "bundled" if problems is None else problems,
            split=split,
            question_field=question_field,
            answer_field=answer_field,
            context_field=context_field,
            choices_field=choices_field,
        )
    return EconParallelEnv(
        problems,
        settings,
        llm=llm,
        coordinator=coordinator,
        executors=names,
        embedder=embedder,
        answer_rule=answer_rule,
        prompts=prompts,
        reward_terms=reward_terms,
        observation_parts=observation_parts,
        render_mode=render_mode,
        trace=trace,
    )


def _settings(
    config: EnvConfig | Mapping[str, Any] | None, weights: Sequence[float] | None, given: Mapping[str, Any]
) -> EnvConfig:
    base = _given(config)
    base |= {key: value for key, value in given.items() if value is not None}
    if weights is not None:
        base["reward"] = {**_given(base.get("reward")), "initial_weights": tuple(float(weight) for weight in weights)}
    return parse_settings(EnvConfig, base)


def _played(config: EnvConfig, bank: Bank, coordinator: object, executors: object) -> EnvConfig:
    """Fill in what suits a bank, where nothing was set."""
    base = dict(PLAYED) | _given(config)
    weights = played_weights(bank)
    if weights is not None:
        base["reward"] = {"initial_weights": weights, **_given(base.get("reward"))}
    names = list(executors) if isinstance(executors, Sequence) and not isinstance(executors, str) else [executors]
    base.setdefault("n_agents", len(cast(bank, coordinator, names, base.get("n_agents"))))
    return parse_settings(EnvConfig, base)


def _given(settings: Settings | Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that were set, by name; groups stay the same objects."""
    if isinstance(settings, Settings):
        return {name: value for name, value in settings if name in settings.model_fields_set}
    return dict(settings or {})

"""Defines the environment's settings, with types and documentation; unknown or contradictory settings are refused."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from econ_env import plugins
from econ_env.control_names import DEFAULT_CONTROLS, NEUTRAL_PENALTY, SAMPLERS, ControlName, second_of
from econ_env.errors import ConfigError
from econ_env.extra import JsonObject, check_body, check_headers, check_members
from econ_env.records import Credit, PromptEmbedding, SecondControl

Weights = tuple[Annotated[float, Field(ge=0, le=1)], ...]
"""alpha: weights of AL, TS, CC, then of the further reward terms, in this order."""

TERMS = ("al", "ts", "cc")
"""The reward terms that are always there, in the order of their weights."""

RuleName = Annotated[str, AfterValidator(partial(plugins.check_name, plugins.ANSWER_RULES))]
Device = Literal["auto", "cpu", "cuda", "mps"]
"""Where models of this process compute; `auto` takes an accelerator if there is one."""

PromptsName = Annotated[str, AfterValidator(partial(plugins.check_name, plugins.PROMPT_SETS))]
TermName = Annotated[str, AfterValidator(partial(plugins.check_name, plugins.REWARD_TERMS))]
PartName = Annotated[str, AfterValidator(partial(plugins.check_name, plugins.OBSERVATION_PARTS))]


def check_weights(weights: Sequence[float], terms: Sequence[str] = TERMS) -> Weights:
    """Weights of these reward terms as floats.

    Raises:
        ConfigError: They are not one number in [0, 1] for each term that sum to 1 (within 1e-3).
    """
    values = tuple(float(w) for w in weights)
    on_simplex = all(0.0 <= w <= 1.0 for w in values) and math.isclose(sum(values), 1.0, abs_tol=1e-3)
    if len(values) != len(terms) or not on_simplex:
        names = ", ".join([term.upper() for term in TERMS] + list(terms[len(TERMS) :]))
        raise ConfigError(
            f"reward weights must be {len(terms)} numbers in [0, 1] ({names}) that sum to 1, got {values}"
        )
    return values


class Settings(BaseModel):
    """Base of all groups of settings: immutable, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError("must be a number, not true or false")
        return value


def _off(value: Any) -> Any:
    """Undo what YAML does to a bare `off`."""
    return "off" if value is False else value


S = TypeVar("S", bound=BaseModel)


class SamplingConfig(Settings):
    """The controls of an executor, by default (T, p), the paper's prompt embedding e: their bounds and fixed values.

    The default bounds of T and the penalty are those between which both change replies and few are noise, measured with
    `benchmarks/measure/sweep.py` under `econ-controls-v2`.
    """

    controls: Annotated[tuple[ControlName, ...], Field(min_length=1)] = DEFAULT_CONTROLS
    """What an action sets, in this order: `temperature`, `repetition_penalty`, `top_p`, `min_p`, `speak` (whether the
    executor is asked in a round: from 0.5 on), `weight` (how much its answer counts, with `commitment: weighted`). The
    others have their fixed values."""
    temperature_min: float = Field(0.1, ge=0.0, le=2.0)
    """Lowest temperature T."""
    temperature_max: float = Field(1.5, gt=0.0, le=2.0)
    """Highest temperature T."""
    temperature_default: float = Field(0.7, ge=0.0, le=2.0)
    """Temperature of the executors' calls where it is no control."""
    second_action: SecondControl = "repetition_penalty"
    """The control that p is: the repetition penalty, or top_p (another reading of the paper). The old way to say
    `controls: [temperature, top_p]`; where `controls` are given, it follows from them."""
    p_min: float | None = Field(None, gt=0.0, le=2.0)
    """Lowest p; by default 1.0 for a repetition penalty, `top_p_min` for top_p."""
    p_max: float | None = Field(None, gt=0.0, le=2.0)
    """Highest p; by default 1.15 for a repetition penalty, `top_p_max` for top_p."""
    top_p_min: float = Field(0.1, gt=0.0, le=1.0)
    """Lowest top_p."""
    top_p_max: float = Field(0.9, gt=0.0, le=1.0)
    """Highest top_p."""
    top_p_default: float = Field(0.9, gt=0.0, le=1.0)
    """top_p of every call where it is no control, and of the coordinator's."""
    min_p_min: float = Field(0.0, ge=0.0, lt=1.0)
    """Lowest min-p, where it is a control."""
    min_p_max: float = Field(0.2, gt=0.0, lt=1.0)
    """Highest min-p."""
    min_p: float = Field(0.05, ge=0.0, lt=1.0)
    """min-p of the executors' calls where it is no control: tokens less likely than this share of the most likely one
    are left out; 0 turns it off. At high temperatures it keeps replies readable (Nguyen et al. 2025,
    https://arxiv.org/abs/2407.01082)."""

    @model_validator(mode="before")
    @classmethod
    def _two_names(cls, values: Any) -> Any:
        """Fill in whichever of `controls` and `second_action` is not given."""
        if not isinstance(values, Mapping):
            return values
        old, new = values.get("second_action"), values.get("controls")
        if old == "top_p" and new is None:
            return {**values, "controls": ("temperature", "top_p")}
        if old is None and isinstance(new, list | tuple):
            return {**values, "second_action": second_of(new)}
        return values

    @field_validator("controls")
    @classmethod
    def _once(cls, controls: tuple[ControlName, ...]) -> tuple[ControlName, ...]:
        twice = next((name for name in controls if controls.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names {twice} twice")
        return controls

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        low, high = self.p_bounds
        if self.second_action != second_of(self.controls):
            raise ValueError(
                f"second_action {self.second_action} contradicts controls [{', '.join(self.controls)}]; "
                "give controls alone"
            )
        if self.temperature_min >= self.temperature_max:
            raise ValueError("temperature_min must be below temperature_max")
        if low >= high:
            raise ValueError(f"p_min must be below p_max, got {low} and {high}")
        if self.second_action == "top_p" and high > 1.0:
            raise ValueError(f"p_max must be at most 1.0 when second_action is top_p, got {high}")
        if self.second_action == "repetition_penalty" and low < 1.0:
            raise ValueError(f"p_min must be at least 1.0: a repetition penalty of {low} rewards repeating")
        for name in ("top_p", "min_p"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low >= high:
                raise ValueError(f"{name}_min must be below {name}_max, got {low} and {high}")
        return self

    @property
    def p_bounds(self) -> tuple[float, float]:
        """Lowest and highest p, defaults filled in."""
        penalty = self.second_action == "repetition_penalty"
        low, high = (1.0, 1.15) if penalty else (self.top_p_min, self.top_p_max)
        return (low if self.p_min is None else self.p_min, high if self.p_max is None else self.p_max)

    def bounds(self, control: ControlName) -> tuple[float, float]:
        """Lowest and highest value of a control."""
        if control == self.second_action:
            return self.p_bounds
        own: dict[ControlName, tuple[float, float]] = {
            "temperature": (self.temperature_min, self.temperature_max),
            "top_p": (self.top_p_min, self.top_p_max),
            "min_p": (self.min_p_min, self.min_p_max),
        }
        return own.get(control, (0.0, 1.0))

    @property
    def sampled(self) -> tuple[ControlName, ...]:
        """The controls that a server is asked with."""
        return tuple(name for name in self.controls if name in SAMPLERS)

    def asked(self, embedding: PromptEmbedding) -> dict[str, float]:
        """What a call with these controls is sampled with: the value of each of `SAMPLERS`, set or fixed."""
        penalty, top_p = embedding.p, embedding.top_p
        if self.second_action == "top_p":
            penalty, top_p = NEUTRAL_PENALTY, embedding.p
        return {
            "temperature": embedding.temperature,
            "repetition_penalty": penalty,
            "top_p": self.top_p_default if top_p is None else top_p,
            "min_p": self.min_p if embedding.min_p is None else embedding.min_p,
        }

    @property
    def neutral(self) -> PromptEmbedding:
        """The controls of an executor of which an action sets nothing."""
        return PromptEmbedding(
            self.temperature_default, self.top_p_default if self.second_action == "top_p" else NEUTRAL_PENALTY
        )


ExtraBody = Annotated[JsonObject, AfterValidator(check_body)]
ExtraHeaders = Annotated[JsonObject, AfterValidator(check_headers)]
ExtraByMember = Annotated[JsonObject, AfterValidator(check_members)]


class LLMConfig(Settings):
    """How models are called: time limits, retries, rates, cache and budget."""

    timeout: float = Field(60.0, gt=0)
    """Time limit in seconds of one attempt of a call; the default is ten times as long for a model in this process."""
    round_timeout: float = Field(300.0, gt=0)
    """Time limit in seconds of a whole call, with its attempts and the waits between them; a later reply is invalid.
    All replies of a round are requested at once. Time in which a call waits for its turn does not count. The default is
    ten times as long for a model in this process."""
    max_retries: int = Field(5, ge=0, le=50)
    """Attempts after the first, for failures that may be temporary."""
    retry_wait: float = Field(0.5, gt=0)
    """Seconds before the first retry, doubled each time, with jitter."""
    retry_wait_max: float = Field(30.0, gt=0)
    """Longest wait between attempts, in seconds; a server's Retry-After may ask for more."""
    retry_after_max: float = Field(120.0, ge=0)
    """Longest wait that a server's Retry-After may ask for, in seconds."""
    rpm: float | None = Field(None, gt=0)
    """Requests per minute the whole process may send to one server; none means no limit."""
    tpm: float | None = Field(None, gt=0)
    """Tokens per minute, counted as prompt plus largest possible completion; none means no limit."""
    thinking_tokens: int | None = Field(None, ge=0)
    """Tokens in which a model may think, sent on top of a call's own limit, such as `reply_max_tokens`. Servers limit
    thought and reply together, so a model that thinks little may say more than its own limit. By default 0, and 4096
    for a model as soon as it is seen to use up its limit while it thinks. Long thought may also need more `timeout`."""
    extra_body: ExtraBody = JsonObject()
    """Fields that are added to the body of every call, such as `{chat_template_kwargs: {enable_thinking: false}}`. In
    texts `$NAME` is replaced by that environment variable; its value is never written out."""
    extra_headers: ExtraHeaders = JsonObject()
    """Headers that are added to every request, such as `{X-Project: $PROJECT}`; `$NAME` as in `extra_body`."""
    extra_for: ExtraByMember = JsonObject()
    """`extra_body` and `extra_headers` by member: `coordinator`, `executors`, `executor_0` and so on. A key given for
    one executor replaces that of `executors`, which replaces the general one."""
    probe: Literal["auto", "off"] = "auto"
    """Whether training first asks a server some 25 short questions to find controls without effect (`econ probe` asks
    more). What was found is kept in the cache, per server, model and bounds."""
    concurrency: int = Field(16, ge=1)
    """Calls in flight at once, to one server."""
    logprobs: bool = False
    """Whether servers are asked for the log-probabilities of a reply's tokens, which give the reply's confidence. Some
    servers refuse or answer more slowly. `reward.al: likelihood` and the observation part `reply_confidence` ask for
    them in any case."""
    cache: bool = True
    """Whether answers are kept on disk and used again for equal requests."""
    cache_dir: str | None = None
    """Folder of the cache; by default in the user's cache folder."""
    cache_size: int = Field(2_000_000_000, gt=0)
    """Largest size of the cache in bytes; the least recently used answers are removed first."""
    budget_tokens: int | None = Field(None, gt=0)
    """Tokens the run may use in all; then it stops and keeps what is done."""
    budget_usd: float | None = Field(None, gt=0)
    """US dollars the run may spend in all; needs prices."""
    price_prompt: float | None = Field(None, ge=0)
    """US dollars per million prompt tokens."""
    price_completion: float | None = Field(None, ge=0)
    """US dollars per million generated tokens."""
    local_context: int = Field(2048, ge=256)
    """Context window in tokens of each request to the embedded engine."""
    local_slots: int = Field(4, ge=1, le=64)
    """Requests the embedded engine processes at once; the others wait."""
    local_threads: int | None = Field(None, ge=1)
    """Threads of the embedded engine; by default one per core."""

    @field_validator("probe", mode="before")
    @classmethod
    def _probe_off(cls, value: Any) -> Any:
        return _off(value)

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if self.budget_usd is not None and (self.price_prompt is None or self.price_completion is None):
            raise ValueError("budget_usd needs price_prompt and price_completion")
        return self


class RewardConfig(Settings):
    """Terms of the reward and their weights."""

    initial_weights: Weights = (0.1, 0.8, 0.1)
    """alpha = (AL, TS, CC), then one for each of `terms`; each in [0, 1], summing to 1."""
    terms: tuple[TermName, ...] = ()
    """Further terms, each by the name under which a package registers it or as `module:attribute`."""
    al: Literal["embedding", "likelihood"] = "embedding"
    """What AL is: how close a reply is to the commitment by their embeddings, or the probability that the executor's
    model gives to its own reply, which needs a server with log-probabilities. Fidelity in CC stays the closeness."""
    fidelity_weight: float = Field(0.5, ge=0, le=1)
    """w_f: share of fidelity in CC; the rest is novelty."""
    team_ts: Literal["commitment", "mean"] = "commitment"
    """TS of the team reward: the commitment's correctness, or the mean of the executors'."""
    credit: Credit = "own"
    """What each executor is paid: the reward of its own reply, or the team's r_tot less the price of all calls, also
    for an invalid reply. The reward terms in infos and traces stay those of its own reply. Where executors may stay
    silent, the learner pays all alike with both."""
    price: float = Field(0.0, ge=0.0, allow_inf_nan=False)
    """What executors' calls cost, taken off the rewards: each executor pays for its own calls, the team for all."""
    price_max: float | None = Field(None, gt=0.0, allow_inf_nan=False)
    """If set, each episode has a price of its own between `price` and this, drawn evenly in its logarithm: a policy
    then learns for all of them, and `env.price` chooses one."""
    price_per: Literal["call", "kilotoken"] = "call"
    """What `price` is paid for: a call that was answered, or 1,000 tokens of prompt and reply."""

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if self.price_max is not None and not 0.0 < self.price < self.price_max:
            raise ValueError(f"price_max {self.price_max} needs a price above 0 and below it, got {self.price}")
        return self

    @model_validator(mode="after")
    def _simplex(self) -> Self:
        # Terms given as objects have no name here; the environment checks their number.
        others = self.terms or ("further",) * (len(self.initial_weights) - len(TERMS))
        check_weights(self.initial_weights, (*TERMS, *others))
        return self


class ObservationConfig(Settings):
    """Parts of an observation besides the standard ones."""

    parts: tuple[PartName, ...] = ()
    """Further parts, each `reply_confidence`, `discussion`, `answer_numbers`, `working`, the name under which a package
    registers it, or `module:attribute`. `discussion` is added by itself where `speak` or `weight` is a control."""


class EpisodeConfig(Settings):
    """Settings of an episode and its calls that do not depend on the team."""

    max_rounds: int = Field(1, ge=1)
    """Decision steps of an episode; not the rounds inside one step."""
    strategy: Literal["reset", "lazy", "off"] = "reset"
    """When the coordinator plans: at reset, at the first round, or never."""
    commitment: Literal["always", "divided", "vote", "weighted"] = "always"
    """When the coordinator condenses replies: in every round, or only if answers differ, or never. If two or more
    executors all agree, `divided` uses their answer directly, which saves the longest call of the round. With `vote`
    the majority of all executors' answers is the commitment, with `weighted` the answer with the largest sum of
    weights (the control `weight`)."""
    show_commitment: bool = True
    """Whether executors are told the answer of the last commitment in later rounds."""
    strategy_tokens: int = Field(50, ge=1)
    """Length in tokens that the coordinator is asked to keep to in a strategy."""
    strategy_max_tokens: int = Field(70, ge=1)
    """Length at which a strategy is cut, in tokens."""
    reply_max_tokens: int = Field(256, ge=1)
    """Most tokens of an executor's reply, without thought; see `llm.thinking_tokens`."""
    commitment_max_tokens: int = Field(192, ge=1)
    """Most tokens of a commitment, without thought."""
    reply_format: Literal["auto", "json", "text"] = "auto"
    """Whether replies are asked for as JSON or as text; auto asks small models for text, others for JSON."""
    coordinator_temperature: float = Field(0.1, ge=0.0, le=2.0)
    """Temperature of strategy and commitment."""
    memory_length: int = Field(4, ge=1)
    """Number of its own past rounds that an executor sees."""
    cluster_size: int = Field(4, ge=0)
    """Most executors that one coordinator condenses. A larger team is split evenly into clusters with a local
    coordinator each (nine executors are 3 + 3 + 3), and a global one merges the local commitments; 0 keeps it flat."""
    text_infos: bool = False
    """Whether the infos of a step also carry texts."""

    @field_validator("strategy", mode="before")
    @classmethod
    def _strategy_off(cls, value: Any) -> Any:
        return _off(value)

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.strategy_max_tokens < self.strategy_tokens:
            raise ValueError("strategy_max_tokens must be at least strategy_tokens")
        return self

    @field_validator("cluster_size")
    @classmethod
    def _more_than_one(cls, value: int) -> int:
        if value == 1:
            raise ValueError("cluster_size must be 2 or more, or 0 for flat teams: a single reply needs no condensing")
        return value


class RecordedConfig(Settings):
    """How a bank of recorded replies is played."""

    draw: Literal["linear", "nearest"] = "linear"
    """Which recorded controls a reply is drawn from, between two of them: either, with chances linear in the control,
    or the nearest."""
    reuse: Literal["count", "refuse"] = "count"
    """What happens when an episode asks for more replies than are on record: they come again and are counted, or the
    run stops."""


class TeamConfig(Settings):
    """The team: size, controls, rewards, observations, prompts, and how its models are called."""

    n_agents: int = Field(3, ge=1, le=512)
    """Number of executors."""
    sampling: SamplingConfig = SamplingConfig()
    """The controls and their bounds."""
    reward: RewardConfig = RewardConfig()
    """Reward terms and weights."""
    observation: ObservationConfig = ObservationConfig()
    """Further parts of an observation."""
    answer_rule: RuleName = "econ"
    """How answers are read and judged: `econ`, the name of a registered rule, or `module:attribute`."""
    prompts: PromptsName = "econ"
    """What models are asked: `econ`, the name of a registered prompt set, or `module:attribute`."""
    llm: LLMConfig = LLMConfig()
    """How models are called."""
    recorded: RecordedConfig = RecordedConfig()
    """How recorded replies are played."""
    device: Device = "auto"
    """Where the embedder and the embedded engine compute: `cpu`, `cuda`, `mps`, or `auto`, an accelerator if there is
    one."""


class EnvConfig(EpisodeConfig, TeamConfig):
    """All settings of the environment."""

    @model_validator(mode="after")
    def _weights_count(self) -> Self:
        check_counted(self.sampling, self)
        return self


def check_counted(sampling: SamplingConfig, episode: EpisodeConfig) -> None:
    """Check that weights have an effect where they are a control.

    Raises:
        ValueError: They have none.
    """
    if "weight" in sampling.controls and episode.commitment != "weighted":
        raise ValueError(
            f"the control weight has no effect with commitment {episode.commitment}: set commitment to weighted, or "
            "leave weight out of sampling.controls"
        )


def parse_settings(model: type[S], values: Mapping[str, Any]) -> S:
    """Build settings from plain values; an error is one line.

    Raises:
        ConfigError: A key is unknown (with the nearest known one), or a value is refused.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(model, dict(item)) for item in error.errors())) from None


def _explain(model: type[BaseModel], item: dict[str, Any]) -> str:
    path = [str(part) for part in item["loc"]]
    name = ".".join(path)
    if item["type"] != "extra_forbidden":
        text = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "model_type":
            text = "must hold keys and values"
        if not name or text.startswith(name):
            return text
        return f"{name}: {text}" if item["type"] == "value_error" else f"{name}: {text} (got {item['input']!r})"
    known = [".".join([*path[:-1], key]) for key in _fields_at(model, path[:-1])]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {name!r}; {hint}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)

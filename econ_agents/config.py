"""The learner's settings: typed, with a description of each field; unknown or contradictory values are rejected."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self, get_args

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

from econ_agents.errors import ConfigError
from econ_agents.plugins import MIXERS, SOLVERS, check_name, path_of


class AgentSettings(BaseModel):
    """Base of all setting groups: immutable, rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError("must be a number, not true or false")
        return value


Share = Annotated[float, Field(gt=0.0, lt=1.0)]
MixerName = Annotated[str, AfterValidator(partial(check_name, MIXERS))]
SolverName = Annotated[str, AfterValidator(partial(check_name, SOLVERS))]


class NetworkConfig(AgentSettings):
    """Sizes and switches of the networks. The switches that default to on are there for ablations."""

    shared: bool = True
    """Whether agents share parameters; only then can a checkpoint be used with another number of agents."""
    agent_id: bool = True
    """Whether shared parameters see the agent's number."""
    memory: bool = True
    """Whether beliefs read the agent's memory."""
    encoder: bool = True
    """Whether the encoder attends; otherwise beliefs are only averaged."""
    mixer: MixerName = "attention"
    """How Q_tot is mixed: `attention`, `mean` of the Q_i (agents then learn alone), the name of a registered mixer,
    `module:attribute`, or, in Python, a class or function that makes one. True and false stand for the first two."""
    critic_sees_controls: bool = True
    """Whether e_i is an input of Q_i."""
    hidden_dim: int = Field(128, ge=1)
    """Width of hidden layers in belief networks and local critics."""
    critics: int = Field(2, ge=1)
    """Independent estimates of each Q_i."""
    encoder_dim: int = Field(64, ge=1)
    """Width d of the encoder's tokens and of the group representation E."""
    mixer_dim: int = Field(64, ge=1)
    """Width of the mixer's tokens and features."""
    heads: int = Field(4, ge=1)
    """Attention heads of encoder and mixer; a key is d / heads wide."""
    blocks: int = Field(1, ge=1)
    """Blocks of the encoder."""
    cluster_size: int = Field(4, ge=0)
    """Largest number of agents that attend to one another directly. In a larger team they attend within clusters of
    neighbours, then between clusters, so that time grows linearly with agents; 0 lets all attend to all."""
    ffn_dim: int = Field(128, ge=1)
    """Width of the feed-forward layer of an encoder block."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of units dropped in training, in belief networks and encoder."""

    initial_controls: tuple[Share, ...] | None = None
    """Where each control starts before anything is learned, as a share of its range; by default the middle."""
    input_noise: float = Field(1.0, ge=0.0)
    """Standard deviation of Gaussian noise on the normalised inputs of belief networks in training."""
    weight_constant: float = Field(2.0, ge=0.0)
    """c, added to the log odds that a reply is right to make its weight in the vote."""
    reply_scale: float = Field(0.3, gt=0.0)
    """Factor on the embeddings of strategy, reply and commitment; that of the question is 1."""

    @field_validator("mixer", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return "attention" if value else "mean"
        return path_of(value) if callable(value) else value

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.cluster_size == 1:
            raise ValueError("network.cluster_size must be 2 or more, or 0 to let all agents attend to one another")
        for name, dim in (("encoder_dim", self.encoder_dim), ("mixer_dim", self.mixer_dim)):
            if dim % self.heads:
                raise ValueError(f"network.{name} must be a multiple of network.heads, got {dim} and {self.heads}")
        return self


class OptimizerConfig(AgentSettings):
    """How parameters are updated."""

    learning_rate: float = Field(1e-3, gt=0)
    """Step size of belief networks and local critics."""
    actor_learning_rate: float = Field(1e-3, gt=0)
    """Step size of the control heads."""
    coordinator_learning_rate: float = Field(1e-3, gt=0)
    """Step size of encoder and mixer."""
    voice_learning_rate: float = Field(0.02, gt=0)
    """Step size of beliefs about replies and of gains of calls, which have few parameters."""
    weight_decay: float = Field(1e-4, ge=0)
    """Decoupled weight decay of all networks but those that `losses.shrink` draws to 0."""
    max_grad_norm: float = Field(10.0, gt=0)
    """Largest norm of a gradient."""


class LossConfig(AgentSettings):
    """Weight of each loss; 0 switches it off."""

    td_local: float = Field(1.0, ge=0)
    """TD_i, for beliefs and local critics."""
    td_total: float = Field(1.0, ge=0)
    """TD_tot, for encoder and mixer (and beliefs and local critics, see team_gradient)."""
    team_gradient: bool = False
    """Whether TD_tot also trains beliefs and local critics; otherwise they learn from their own rewards alone."""
    similarity: float = Field(0.1, ge=0)
    """lambda_sd: keeps features close to the commitment; needs an environment with commitments in observations."""
    q_consistency: float = Field(1.0, ge=0)
    """lambda_m: keeps Q_tot near the Q_i, which are learned earlier."""
    encoder: float = Field(0.1, ge=0)
    """lambda_e: lets each agent's value be read from the group representation."""
    trust: float = Field(1.0, ge=0)
    """Log score of the beliefs about answers, where executors may stay silent or weigh their reply."""
    gain: float = Field(1.0, ge=0)
    """Expected reward, ascended, of decisions in which all spoke at once, played again as gains of calls have it."""
    shrink: float = Field(0.02, ge=0)
    """How strongly the weights of these beliefs are drawn to 0: this times half their squares is added to the loss
    (ridge). Those that all agents share are drawn a tenth as strongly as an agent's own."""
    policy: float = Field(1.0, ge=0)
    """Gradient ascent of the control heads on Q_tot."""
    equilibrium: float = Field(0.1, ge=0)
    """Best-response gap of the heads' profile."""
    response: float = Field(0.1, ge=0)
    """Pull of the heads towards the best deviations found."""
    improvement: float = Field(0.1, ge=0)
    """Keeps the value of controls chosen after a commitment from falling below that of earlier controls."""
    candidates: int = Field(16, ge=1)
    """Deviations tried for each agent to measure the gap."""
    candidate_rows: int = Field(16, ge=1)
    """Rows of a batch for which they are tried; above three agents fewer, so that rows times agents stays equal."""
    gap_interval: int = Field(16, ge=1)
    """The gap is measured at every n-th gradient step; `equilibrium` and `response` apply only then."""


class AlphaConfig(AgentSettings):
    """The weights of the reward terms (AL, TS, CC)."""

    learn: bool = False
    """Whether they are learned."""
    learning_rate: float = Field(1e-3, gt=0)
    """Step size of their logits."""
    ts_floor: float = Field(0.2, ge=0.0, lt=1.0)
    """Lower bound on the weight of TS; always holds exactly."""


class ExplorationConfig(AgentSettings):
    """Exploration noise on the controls in training."""

    random_episodes: int = Field(32, ge=0)
    """Decisions at the start that are taken uniformly at random."""
    noise_start: float = Field(0.5, ge=0)
    """Standard deviation of Gaussian noise after those, on controls in [-1, 1]."""
    noise_end: float = Field(0.2, ge=0)
    """Standard deviation at the end of the schedule and after it."""
    noise_episodes: int = Field(200, ge=1)
    """Decisions over which the noise falls linearly."""
    random_share: float = Field(0.1, ge=0, le=1)
    """Probability that an agent's controls are drawn uniformly at random instead, throughout training."""
    random_speakers: float = Field(0.3, ge=0, le=1)
    """Probability of a wave in which another agent speaks than chosen, one of those that have not spoken."""
    all_speak: float = Field(0.5, ge=0, le=1)
    """Probability of a wave in which all speak that have not spoken, so that a decision ends after it. Decisions in
    which all speak at once teach what calls gain; with 0 that is never learned."""


class ReplayConfig(AgentSettings):
    """The replay buffer."""

    capacity: int = Field(5000, ge=1)
    """Largest number of decisions stored."""
    prioritized: bool = False
    """Whether rows with larger error are drawn more often."""
    priority_alpha: float = Field(0.6, gt=0)
    """How strongly the error raises the probability of a row."""
    priority_beta: float = Field(0.4, ge=0)
    """How far the losses correct for the uneven sampling."""


class EquilibriumConfig(AgentSettings):
    """How a profile is refined towards an equilibrium; the number of rounds K is given apart."""

    solver: Any = "simultaneous"
    """How responses are chosen: `simultaneous` damped best responses, the name of a registered solver,
    `module:attribute`, or a `Solver`."""
    convergence_threshold: float = Field(0.01, ge=0)
    """Refinement ends when no control would move by this much (in [-1, 1] units)."""
    damping: float = Field(0.0, ge=0, lt=1)
    """Share of the old controls that is kept in each response; 0 jumps to the response, where all move at once and the
    critics were trained little."""
    response: Literal["best", "logit"] = "best"
    """What each agent moves to: its best action, or the mean of its logit response, which weighs all candidates by
    softmax(payoff / temperature). A `temperature` given without it means `logit`, and a temperature of 0 `best`."""
    temperature: float | Literal["state"] = 0.05
    """Temperature of the logit response, in units of payoff; `state` lets each agent's follow from the state: it is
    `temperature_share` of the standard deviation of its candidates' payoffs there."""
    temperature_share: float = Field(0.25, gt=0)
    """tau, the temperature that `temperature: state` means, in standard deviations of an agent's payoffs."""
    temperature_end: float | None = Field(None, gt=0)
    """If given, the temperature halves with each response of a refinement, down to this, so that it does not depend on
    how many rounds there are; a row then ends by a small move or a cycle only once the temperature no longer falls."""
    stop_when_repeated: bool = True
    """Whether refinement ends once two rounds in a row give the same answer, which saves the other rounds."""
    oscillation_window: int = Field(4, ge=0)
    """Longest cycle that is searched for, in rounds; below 2 none is."""
    oscillation_tolerance: float = Field(0.02, ge=0, lt=1)
    """Largest distance of a proposal to an earlier profile that counts as a cycle, as a share of the proposed move."""
    grid_size: int = Field(7, ge=2)
    """Values of each control on the grid of candidates."""
    max_candidates: int = Field(512, ge=2)
    """Largest number of candidates; if the grid would have more, this many Sobol points replace it."""
    finalists: int = Field(8, ge=1)
    """Candidates whose payoffs are computed exactly, where a game can estimate them all first."""
    polish_steps: int = Field(6, ge=0)
    """Limit on local quadratic fits around the best candidate; 6 find a smooth optimum of two controls to 1e-4."""

    @field_validator("temperature", mode="before")
    @classmethod
    def _number_or_state(cls, value: Any) -> Any:
        if value == "state" or isinstance(value, bool):
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0.0 < number < math.inf:
            raise ValueError(f"temperature must be a number greater than 0, or state, got {value!r}")
        return number

    @model_validator(mode="before")
    @classmethod
    def _temperature_names_the_response(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "response" in values or "temperature" not in values:
            return values
        temperature = values["temperature"]
        if temperature == 0 and not isinstance(temperature, bool):
            return {name: value for name, value in values.items() if name != "temperature"} | {"response": "best"}
        return {**values, "response": "logit"}

    @model_validator(mode="after")
    def _temperature_falls(self) -> Self:
        if self.temperature_end is None:
            return self
        if self.temperature == "state":
            raise ValueError("temperature_end goes with a number as temperature, not with state: leave it out")
        if self.temperature_end > self.temperature:
            raise ValueError(
                f"temperature_end must be at most temperature, got {self.temperature_end} and {self.temperature}"
            )
        return self

    def logit_temperature(self, number: int) -> float | Literal["state"] | None:
        """Temperature of a refinement's response after `number` earlier ones; None if responses are best ones."""
        if self.response == "best":
            return None
        if self.temperature_end is None or self.temperature == "state":
            return self.temperature
        return max(self.temperature_end, self.temperature * 0.5**number)


class BneConfig(EquilibriumConfig):
    """Refinement of the controls towards an equilibrium within one decision of a run."""

    max_iterations_train: int = Field(1, ge=1)
    """Rounds K per decision in training; 1 means no refinement."""
    max_iterations_infer: int = Field(3, ge=1)
    """Rounds K per decision in tests."""
    solver: SolverName = "simultaneous"
    """How responses are chosen: `simultaneous` best ones, the name of a registered solver, or `module:attribute`."""
    damping: float = Field(0.7, ge=0, lt=1)
    """Share of the old controls that is kept in each response."""
    grid_size: int = Field(5, ge=2)
    """Values of each control on the grid of candidates."""
    finalists: int = Field(4, ge=1)
    """Candidates whose payoffs are computed exactly, after all were estimated."""
    polish_steps: int = Field(4, ge=0)
    """Limit on local quadratic fits around the best candidate."""


class EarlyStoppingConfig(AgentSettings):
    """When training ends early: by three criteria if all thresholds are set, else by the mean reward."""

    enabled: bool = False
    """Whether training may end early."""
    commitment_threshold: float | None = Field(None, gt=0)
    """eps_C: commitments must move less than this from one round to the next (distance of unit embeddings)."""
    reward_threshold: float | None = None
    """The team's mean reward must reach this."""
    loss_threshold: float | None = Field(None, gt=0)
    """eps_L: the team's TD loss must change less than this from one update to the next."""
    patience: int = Field(5, ge=1)
    """Updates in a row in which all three criteria hold, or, without thresholds, the mean reward does not rise."""
    warmup: int = Field(0, ge=0)
    """Episodes before which training never ends."""

    @property
    def three_criteria(self) -> bool:
        """Whether all three thresholds are set."""
        return None not in (self.commitment_threshold, self.reward_threshold, self.loss_threshold)

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [self.commitment_threshold, self.reward_threshold, self.loss_threshold]
        if self.enabled and any(value is not None for value in given) and not self.three_criteria:
            raise ValueError(
                "early_stopping needs commitment_threshold, reward_threshold and loss_threshold together, or none"
            )
        return self


class AgentConfig(AgentSettings):
    """All settings of the learner.

    The defaults are the values that learned best; `benchmarks/config_paper.yaml` has the paper's values.
    """

    belief_dim: int = Field(64, ge=1)
    """Width of a belief."""
    gamma: float = Field(0.99, ge=0.0, le=1.0)
    """Discount of later decisions of an episode."""
    num_envs: int = Field(8, ge=1)
    """Environments that play at the same time in training."""
    update_interval: int = Field(8, ge=1)
    """Episodes collected between updates; rounded up to a multiple of `num_envs`."""
    gradient_steps: float = Field(1.0, gt=0)
    """Gradient steps per decision collected."""
    batch_size: int = Field(64, ge=1)
    """Decisions drawn for a gradient step."""
    averaging: float | None = Field(3.0, ge=0.0)
    """eta of the parameter average that the resulting policy uses: over about the last 1 / (eta + 1) of the updates.
    null uses the last networks without averaging."""
    threads: int = Field(1, ge=1)
    """Compute threads; small networks are fastest on one, and much slower on several if cores are busy."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where networks compute; auto is the CPU, since they are small. Any machine can load a checkpoint."""
    target_update_tau: float = Field(0.01, gt=0.0, le=1.0)
    """Share of the trained networks that is mixed into their targets at a soft update."""
    target_update_interval: int = Field(1, ge=1)
    """Gradient steps between soft updates."""
    network: NetworkConfig = NetworkConfig()
    """Sizes and switches."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Step sizes."""
    losses: LossConfig = LossConfig()
    """Weights of the losses."""
    alpha: AlphaConfig = AlphaConfig()
    """Learned reward weights."""
    exploration: ExplorationConfig = ExplorationConfig()
    """Noise in training."""
    replay: ReplayConfig = ReplayConfig()
    """Replay buffer."""
    bne: BneConfig = BneConfig()
    """Refinement rounds."""
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    """When to stop."""
    checkpoint_interval: int = Field(100, ge=1)
    """Episodes between checkpoints that are kept."""

    @model_validator(mode="after")
    def _three_criteria_can_be_met(self) -> Self:
        stop = self.early_stopping
        if stop.enabled and stop.three_criteria and not self.losses.td_total:
            raise ValueError("early_stopping.loss_threshold needs losses.td_total, which is 0: set it above 0")
        if stop.enabled and stop.three_criteria and self.bne.max_iterations_train < 2:
            raise ValueError(
                "early_stopping.commitment_threshold compares the commitments of two rounds: set "
                "bne.max_iterations_train to 2 or more, or leave the three thresholds out"
            )
        return self


def parse_config(values: Mapping[str, Any]) -> AgentConfig:
    """Make settings from plain values, such as those of a YAML file.

    Raises:
        ConfigError: A key is unknown (the text names the nearest known one), or a value is invalid.
    """
    try:
        return AgentConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(dict(item)) for item in error.errors())) from None


def _explain(item: dict[str, Any]) -> str:
    path = [str(part) for part in item["loc"]]
    name = ".".join(path)
    if item["type"] != "extra_forbidden":
        text = str(item["msg"]).removeprefix("Value error, ")
        return text if item["type"] == "value_error" else f"{name}: {text} (got {item['input']!r})"
    group: type[AgentSettings] = AgentConfig
    for part in path[:-1]:
        inner = group.model_fields[part].annotation
        if isinstance(inner, type) and issubclass(inner, AgentSettings):
            group = inner
    close = difflib.get_close_matches(path[-1], group.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(group.model_fields))}"
    return f"unknown key {name!r}; {hint}"

"""Defines the environment: a team of language models that answers math problems, as a PettingZoo parallel env.

| Data sheet           |                                                                                  |
|----------------------|----------------------------------------------------------------------------------|
| Agents               | `executor_0` ... `executor_{n-1}`, all present until the joint end                 |
| Action               | Box float32 [2]: temperature T in [0.1, 2.0], p in [1.0, 1.5] (repetition penalty) |
| Observation          | Box(-1, 1) float32 [D]; parts and order in `observation_layout`                    |
| State                | Box(-1, 1) float32; shared parts once, replies, controls and memory of everybody   |
| Reward               | a_AL AL_i + a_TS TS_i + a_CC CC_i, in [0, 1]; 0 for an invalid reply; terms can be added |
| Clusters             | more than `cluster_size` (4) executors: one local commitment per cluster, merged   |
| Episode              | `max_rounds` decisions (default 1), then all agents terminate together             |
| Infos                | `{}` per agent at reset; floats with fixed keys (`INFO_KEYS`) at each step         |
| Model calls          | 1 at reset (strategy, once per question), n + 1 per round, n + C + 1 in C clusters |

`deliberate` runs a round inside the current decision; `step` submits and ends the decision. A `step` with the controls
of the last round submits that round's commitment and needs no call.

In a large team local coordinators condense the replies of their clusters, and a global one merges these local
commitments into the team's commitment. Rewards (also AL) and observations use the team's commitment only.

Version history: v0, first release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from econ_env.answers import AnswerRule, judging, make_rule
from econ_env.config import TERMS, EnvConfig, Weights, check_weights
from econ_env.embedding import Embedder, TextEncoder, shared_encoder
from econ_env.episode import Decision, Episode
from econ_env.errors import ConfigError, EpisodeError
from econ_env.llm import background
from econ_env.llm.http.address import without_login
from econ_env.llm.make import make_llm
from econ_env.llm.protocol import LLM, LLMInfo
from econ_env.llm.seeding import derive_seed
from econ_env.observations import layout as observations
from econ_env.observations.added import ObservationPart, make_parts, part_values
from econ_env.observations.confidence import NAME as CONFIDENCE_PART
from econ_env.observations.controls import Actions, action_space, read_actions
from econ_env.observations.infos import Infos, add_texts, info_keys, round_infos, step_infos
from econ_env.observations.known import known_to
from econ_env.problems.load import ProblemSet, ProblemStream
from econ_env.problems.order import ProblemOrder
from econ_env.recorded.bank import Bank
from econ_env.recorded.load import given_bank
from econ_env.recorded.playing import cast, check_playable
from econ_env.recorded.team import RecordedTeam
from econ_env.records import PromptEmbedding, Round, Strategy
from econ_env.rewards.added import RewardTerm, make_terms
from econ_env.rewards.scoring import agrees, score
from econ_env.team.likelihood import check_offered
from econ_env.team.prompts import PromptSet, make_prompts
from econ_env.team.rounds import Team, all_or_none
from econ_env.traces import shared_lines

T = TypeVar("T")

Observations = dict[str, NDArray[np.float32]]
Ends = dict[str, bool]
Transition = tuple[Observations, dict[str, float], Ends, Ends, Infos]


class RoundOutcome(NamedTuple):
    """Result of a round."""

    answer: str | None
    """The commitment's answer."""
    failed: bool
    """Whether no reply was valid."""


class EconParallelEnv(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):  # type: ignore[misc] # untyped
    """The environment; see the data sheet at the top of this module.

    Args:
        problems: The problems; a stream is read in order and repeats nothing within a pass.
        config: All settings.
        llm: A description that `make_llm` accepts, `simulated`, `recorded:BANK`, a bank, or an LLM.
        coordinator: Model of the coordinators, a name or an LLM; by default the LLM's own.
        executors: Model of all executors, or one model each, as names or LLMs.
        embedder: A description that `make_embedder` accepts, or an embedder.
        answer_rule: Reads and judges answers. Defaults of this and the next three arguments are those in `config`.
        prompts: What the models are asked.
        reward_terms: Terms besides AL, TS and CC, as names or objects.
        observation_parts: Parts of an observation besides the standard ones, as names or objects.
        render_mode: `None`, `human` (prints) or `ansi` (returns text).
        trace: A file to which every round is appended as it ends, as a line of JSON.

    Attributes:
        answer_rule: Reads and judges answers.
        prompts: What the models are asked.
        reward_terms: Names of all reward terms, in the order of `reward_weights`.

    Raises:
        ConfigError: A setting is refused.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["human", "ansi"],
        "name": "econ_v0",
        "is_parallelizable": True,
    }

    def __init__(
        self,
        problems: ProblemSet | ProblemStream,
        config: EnvConfig,
        *,
        llm: str | LLM | Bank,
        coordinator: str | LLM | None = None,
        executors: Sequence[str | LLM | None] = (None,),
        embedder: str | Embedder = "auto",
        answer_rule: str | AnswerRule | None = None,
        prompts: str | PromptSet | None = None,
        reward_terms: Sequence[str | RewardTerm] | None = None,
        observation_parts: Sequence[str | ObservationPart] | None = None,
        render_mode: str | None = None,
        trace: str | Path | None = None,
    ) -> None:
        self.problems = problems
        self.config = config
        self.render_mode = render_mode
        self.possible_agents = [f"executor_{number}" for number in range(config.n_agents)]
        self.agents: list[str] = []
        self.episode: Episode | None = None
        self._llm = without_login(llm) if isinstance(llm, str) else llm
        self._coordinator, self._executors = coordinator, tuple(executors)
        self._embedder = embedder
        self._trace = trace
        self.answer_rule = make_rule(config.answer_rule if answer_rule is None else answer_rule)
        self.prompts = make_prompts(config.prompts if prompts is None else prompts)
        self._terms = make_terms(config.reward.terms if reward_terms is None else reward_terms)
        self._parts = make_parts(config.observation.parts if observation_parts is None else observation_parts)
        self.reward_terms = (*TERMS, *(term.name for term in self._terms))
        self._weights = check_weights(config.reward.initial_weights, self.reward_terms)
        if config.reward.al == "likelihood" and llm == "simulated" and not all(isinstance(e, LLM) for e in executors):
            check_offered([LLMInfo("simulated", "simulated", "", json_mode=True)])  # others are checked once made
        bank = given_bank(llm)
        if bank is not None:
            check_playable(config, bank)
            self._executors = cast(bank, coordinator, executors, config.n_agents)
        self._order: ProblemOrder | None = None
        self._deck: object = None
        self._strategies: dict[str, Strategy] = {}
        self._team: Team | None = None
        self._encoder: TextEncoder | None = None

    # For trainers -----------------------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> observations.Layout:
        """Sizes of the observation's parts; the first use may load the embedder."""
        config, further = self.config, tuple((part.name, part.dim) for part in self._parts)
        return observations.Layout(self.encoder.embedder.dim, config.memory_length, config.max_rounds, further)

    @property
    def observation_layout(self) -> Mapping[str, slice]:
        """Part name to its slice of an observation."""
        return self.layout.slices

    @property
    def memory_shape(self) -> tuple[int, int]:
        """(M, F) of the part `agent_memory`."""
        return self.layout.memory_shape

    @cached_property
    def observation_spaces(self) -> dict[str, Box]:
        """The same Box for every agent."""
        space = self.layout.space()
        return dict.fromkeys(self.possible_agents, space)

    @cached_property
    def action_spaces(self) -> dict[str, Box]:
        """The same Box of (T, p) for every agent."""
        space = action_space(self.config.sampling)
        return dict.fromkeys(self.possible_agents, space)

    @cached_property
    def state_space(self) -> Box:
        """The space of `state()`."""
        return self.layout.state_space(len(self.possible_agents))

    def observation_space(self, agent: str) -> Box:
        """The agent's observation space, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """The agent's action space, the same object each time."""
        return self.action_spaces[agent]

    def state(self) -> NDArray[np.float32]:
        """The team's state, with every executor's reply; also available after the end.

        Raises:
            EpisodeError: `reset` was not called yet.
        """
        self._running_episode()
        return observations.state(self.layout, self._shared, self._private)

    @property
    def reward_weights(self) -> Weights:
        """The weights alpha of `reward_terms` for the next `step`; can be set at any time."""
        return self._weights

    @reward_weights.setter
    def reward_weights(self, weights: Sequence[float]) -> None:
        self._weights = check_weights(weights, self.reward_terms)

    @property
    def info_keys(self) -> tuple[str, ...]:
        """Keys of each agent's info at a `step`: `INFO_KEYS`, and two for each further reward term."""
        return info_keys(self.reward_terms[len(TERMS) :])

    @property
    def last_outcome(self) -> RoundOutcome | None:
        """Result of the last round in the current decision; `None` before its first round."""
        rounds = self._running_episode().decisions[-1].rounds
        return RoundOutcome(rounds[-1].commitment.answer, rounds[-1].failed) if rounds else None

    # Episodes ------------------------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Infos]:
        """Move on to another problem.

        Args:
            seed: Restarts the order of problems and every sample; without it the order continues (with a random
                seed if there never was one).
            options: `{"problem": index or id}` chooses a problem, `{"plan": False}` defers the strategy to the first
                round; other keys are ignored.

        Returns:
            An observation per agent, and an empty info per agent.

        Raises:
            EconError: The problem does not exist, or the models are unavailable.
        """
        return background.run(self.areset(seed, options))

    async def areset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """`reset` for coroutines."""
        return await background.submit(self._reset(seed, options))

    def deliberate(self, actions: Actions) -> tuple[Observations, Infos]:
        """Run one round with these controls; the decision goes on and no reward is paid.

        Args:
            actions: (T, p) per agent, clipped to the action space.

        Returns:
            New observations, which show the commitment, and infos with `ROUND_KEYS`.

        Raises:
            EpisodeError: No episode is running, or an action is missing or not finite.
        """
        return background.run(self.adeliberate(actions))

    async def adeliberate(self, actions: Actions) -> tuple[Observations, Infos]:
        """`deliberate` for coroutines."""
        return await background.submit(self._deliberate(actions))

    def step(self, actions: Actions) -> Transition:
        """Judge the commitment for these controls, and pay every executor its reward.

        Runs a round first, unless the last round of this decision had exactly these controls.

        Args:
            actions: (T, p) per agent, clipped to the action space.

        Returns:
            Observations, rewards in [0, 1], terminations, truncations (never), infos with `info_keys`.

        Raises:
            EpisodeError: No episode is running, or an action is missing or not finite.
        """
        return background.run(self.astep(actions))

    async def astep(self, actions: Actions) -> Transition:
        """`step` for coroutines."""
        return await background.submit(self._step(actions))

    def run_coroutine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop of the model calls, and wait for its result; see `background.run`."""
        return background.run(coroutine)

    def render(self) -> str | None:
        """The episode as text: returned in mode `ansi`, printed in mode `human`, nothing without a mode."""
        if self.render_mode is None or self.episode is None:
            return None
        text = self.episode.render()
        if self.render_mode == "human":
            print(text)
            return None
        return text

    def close(self) -> None:
        """Drop the models; the process shares them, and they stop when it ends. May be called at any time."""
        self._team = None

    # Internals ------------------------------------------------------------------------------------------------------

    @property
    def team(self) -> Team:
        """The models, built at first use in each process.

        Raises:
            ConfigError: A model can't be made, or gives no log-probabilities where `reward.al` needs them.
        """
        if self._team is None:
            bank = given_bank(self._llm)
            self._team = self._asked_team() if bank is None else self._recorded_team(bank)
        return self._team

    def _recorded_team(self, bank: Bank) -> Team:
        models = [str(name) for name in self._executors]
        return RecordedTeam.of(bank, models, self.config, self.prompts, self.answer_rule)

    def _asked_team(self) -> Team:
        """A team of models that answer now."""
        assert not isinstance(self._llm, Bank)
        names = self._executors * self.config.n_agents if len(self._executors) == 1 else self._executors
        shared = self._simulated() if self._llm == "simulated" else self._llm
        models = [
            make_llm(shared, self.config.llm, model=model, device=self.config.device)
            if model is None or isinstance(model, str)
            else make_llm(model)
            for model in (self._coordinator, *names)
        ]
        if self.config.reward.al == "likelihood":
            check_offered(llm.info for llm in models[1:])
        return Team(
            models[0],
            tuple(models[1:]),
            self.config,
            self.prompts,
            rule=self.answer_rule,
            logprobs=self._needs_logprobs(),
        )

    def _needs_logprobs(self) -> bool:
        """Whether a setting asks for them, or needs them."""
        wanted = self.config.llm.logprobs or self.config.reward.al == "likelihood"
        return wanted or any(part.name == CONFIDENCE_PART for part in self._parts)

    def _simulated(self) -> LLM:
        """The simulated team; it reads the gold answers from this environment's problems."""
        from econ_env.simulation.landscape import Landscape
        from econ_env.simulation.model import SimulatedLLM

        if isinstance(self.problems, ProblemStream):
            raise ConfigError("the simulated model needs all answers at once; load the problems without streaming")
        return SimulatedLLM(self.problems, Landscape(sampling=self.config.sampling), prompts=self.prompts)

    @property
    def encoder(self) -> TextEncoder:
        """The process's text encoder."""
        if self._encoder is None:
            self._encoder = shared_encoder(self._embedder, self.config.device)
        return self._encoder

    async def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Observations, Infos]:
        if seed is not None or self._order is None:
            self._order = ProblemOrder(self.problems, seed)
        options = options or {}
        wanted = options.get("problem")
        problem = self._order.next() if wanted is None else self._order.pick(wanted)
        self.episode = Episode(problem, seed=self._order.episode_seed())
        self._deck = None
        if self.config.strategy == "reset" and options.get("plan", True):
            # The call first: embedding may begin with loading a model, which then happens while the call waits.
            planned = asyncio.ensure_future(self._planned())
            embedded = asyncio.ensure_future(self.encoder.aencode([problem.question]))
            both: list[asyncio.Future[Any]] = [planned, embedded]
            await all_or_none(both)
            self.episode.strategy, (question,) = planned.result(), embedded.result()
        else:
            (question,) = await self.encoder.aencode([problem.question])
        self._shared, self._private = observations.blank(self.layout, question, self.config.n_agents)
        await self._see_plan()
        self.agents = list(self.possible_agents)
        return self._observe(), {agent: {} for agent in self.agents}

    async def _planned(self) -> Strategy:
        """The strategy of the episode's question."""
        if self.config.strategy == "off":
            return Strategy(text=None)
        return await self.team.plan_once(self._running_episode().problem, self._strategies)

    async def _see_plan(self) -> None:
        """Update the observations with the strategy, if there is one."""
        strategy = self._running_episode().strategy
        if strategy is not None and strategy.text is not None:
            (self._shared.strategy,) = await self.encoder.aencode([strategy.text])

    async def _deliberate(self, actions: Actions) -> tuple[Observations, Infos]:
        await self._round(self._read(actions))
        return self._observe(), self._tell(round_infos(self._running_episode(), self._agreed))

    async def _step(self, actions: Actions) -> Transition:
        profile = self._read(actions)
        episode = self._running_episode()
        decision = episode.decisions[-1]
        if not decision.rounds or tuple(reply.controls for reply in decision.rounds[-1].replies) != profile:
            await self._round(profile)
        await self._pay(decision)
        infos = self._tell(step_infos(episode, self._agreed))
        self._shared.decision += 1
        self._shared.rounds = 0
        done = self._shared.decision >= self.config.max_rounds
        if not done:
            episode.decisions.append(Decision())
        names = self.possible_agents
        if done:
            self.agents = []
        rewards = {agent: float(part.total) for agent, part in zip(names, decision.rewards, strict=True)}
        return self._observe(), rewards, dict.fromkeys(names, done), dict.fromkeys(names, False), infos

    async def _round(self, profile: tuple[PromptEmbedding, ...]) -> Round:
        episode = self._running_episode()
        if episode.strategy is None:
            episode.strategy = await self._planned()
            await self._see_plan()
        decision = episode.decisions[-1]
        last = episode.last_round
        number = len(decision.rounds)
        if self._deck is None:
            self._deck = self.team.new_deck(episode.problem, episode.seed)
        round_ = await self.team.dealing(self._deck).round(
            episode.problem,
            episode.strategy,
            profile,
            index=number,
            last_answer=None if last is None else last.commitment.answer,
            seed=derive_seed(episode.seed, len(episode.decisions) - 1, number),
            heard=self.encoder.ahead,  # while the other executors and the coordinator are at work
        )
        await self._see(round_)
        decision.rounds.append(round_)
        if self._trace is not None:
            shared_lines(self._trace).append(episode.round_row(len(episode.decisions) - 1, round_))
        return round_

    async def _see(self, round_: Round) -> None:
        """Update all observations with the round."""
        texts = [reply.text for reply in round_.replies if reply.text is not None]
        if round_.commitment.text is not None:
            texts.append(round_.commitment.text)
        rows = dict(zip(texts, await self.encoder.aencode(texts), strict=True)) if texts else {}
        self._agreed = await judging(self.answer_rule, agrees, round_, self.answer_rule)
        observations.see(self._shared, self._private, round_, rows, self._agreed, self.config.sampling)

    async def _pay(self, decision: Decision) -> None:
        episode = self._running_episode()
        round_ = decision.rounds[-1]
        rows = [own.reply if r.valid else None for own, r in zip(self._private, round_.replies, strict=True)]
        paid = await judging(
            self.answer_rule,
            score,
            episode.problem,
            round_,
            rows,
            self._shared.commitment,
            self.config.reward,
            self._weights,
            self.answer_rule,
            self._terms,
            slow=bool(self._terms),
        )
        decision.judgement, decision.replies_judged = paid.judgement, paid.replies
        decision.rewards, decision.team_reward, decision.weights = paid.rewards, paid.team, self._weights

    def _read(self, actions: Actions) -> tuple[PromptEmbedding, ...]:
        if not self.agents:
            raise EpisodeError("no episode is running; call reset first")
        return read_actions(actions, self.possible_agents, self.action_spaces[self.possible_agents[0]])

    def _observe(self) -> Observations:
        if self._parts:
            episode, sizes = self._running_episode(), (self._shared.decision, self.config.max_rounds)
            for agent, own in enumerate(self._private):
                known = known_to(agent, self.config.n_agents, episode, *sizes)
                own.further = np.concatenate([part_values(part, known) for part in self._parts])
        seen = observations.observations(self.layout, self._shared, self._private)
        return dict(zip(self.possible_agents, seen, strict=True))

    def _tell(self, infos: Infos) -> Infos:
        return add_texts(infos, self._running_episode()) if self.config.text_infos else infos

    def _running_episode(self) -> Episode:
        if self.episode is None:
            raise EpisodeError("no episode is running; call reset first")
        return self.episode

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_team": None, "_encoder": None}

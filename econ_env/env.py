"""Defines the environment: a team of language models that answers math problems, as a PettingZoo parallel env.

| Data sheet           |                                                                                  |
|----------------------|----------------------------------------------------------------------------------|
| Agents               | `executor_0` ... `executor_{n-1}`, all present until the joint end                 |
| Action               | Box float32 [A], the controls: by default T and p, the repetition penalty          |
| Observation          | Box(-1, 1) float32 [D]; parts and order in `observation_layout`                    |
| State                | Box(-1, 1) float32; shared parts once, replies, controls and memory of everybody   |
| Reward               | a_AL AL_i + a_TS TS_i + a_CC CC_i, in [0, 1]; 0 for an invalid reply; terms can be added |
| Price                | `reward.price` per call is taken off; then rewards can be negative                 |
| Clusters             | more than `cluster_size` (4) executors: one local commitment per cluster, merged   |
| Episode              | `max_rounds` decisions (default 1), then all agents terminate together             |
| Infos                | `{}` per agent at reset; floats with fixed keys (`info_keys`) at each step         |
| Model calls          | 1 at reset (strategy, once per question), n + 1 per round, n + C + 1 in C clusters |

`deliberate` runs a round inside the current decision; `step` submits and ends the decision. A `step` with the controls
of the last round submits that round's commitment and needs no call.

`sampling.controls` names the controls. With `speak` among them an executor may stay silent: a round asks those with
speak >= 0.5 (at least one in a decision's first round), the others' replies stand, a round in which nobody speaks costs
nothing, and a `step` after a round asks nobody. With `weight` and `commitment: weighted` the actions say how much each
reply counts, also those of a `step` that comes after the replies.

In a large team local coordinators condense the replies of their clusters, and a global one merges these local
commitments into the team's commitment. Rewards (also AL) and observations use the team's commitment only.

Version history: v0, first release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from econ_env.answers import AnswerRule, judging, labels_of, make_rule
from econ_env.config import TERMS, EnvConfig, Weights, check_weights
from econ_env.embedding import Embedder, TextEncoder, shared_encoder
from econ_env.episode import Decision, Episode
from econ_env.errors import ConfigError, EpisodeError
from econ_env.llm import background
from econ_env.llm.http.address import model_without_login, without_login
from econ_env.llm.make import make_llm
from econ_env.llm.protocol import LLM, LLMInfo
from econ_env.llm.seeding import derive_seed
from econ_env.observations import layout as observations
from econ_env.observations.added import ObservationPart, make_parts, part_values
from econ_env.observations.confidence import NAME as CONFIDENCE_PART
from econ_env.observations.controls import Actions, ControlScale, action_space
from econ_env.observations.discussion import DISCUSSION
from econ_env.observations.infos import Infos, add_texts, info_keys, round_infos, step_infos
from econ_env.observations.known import known_to_each
from econ_env.observations.tally import Tally, tallies
from econ_env.problems.load import ProblemSet, ProblemStream
from econ_env.problems.order import ProblemOrder
from econ_env.recorded.bank import Bank
from econ_env.recorded.load import given_bank
from econ_env.recorded.playing import cast, check_playable
from econ_env.recorded.team import RecordedTeam
from econ_env.records import PromptEmbedding, Round, Strategy
from econ_env.rewards.added import RewardTerm, make_terms
from econ_env.rewards.price import amounts, charge, check_price, costs, drawn_price
from econ_env.rewards.scoring import Score, agrees, score
from econ_env.team.likelihood import check_offered
from econ_env.team.prompts import PromptSet, make_prompts
from econ_env.team.rounds import Team, all_or_none
from econ_env.team.speaking import speakers
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
    silent: bool = False
    """Whether nobody was asked: what stood before stands."""


class EconParallelEnv(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):  # type: ignore[misc] # untyped
    """The environment; see the data sheet at the top of this module.

    Args:
        problems: The problems; a stream is read in order and repeats nothing within a pass.
        config: All settings.
        llm: A description that `make_llm` accepts, `simulated`, `recorded:BANK`, a bank, or an LLM.
        coordinator: Model of the coordinators, a name or an LLM; by default the LLM's own.
        executors: Model of all executors, or one model each, as names (see `make_llm`) or LLMs.
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
        control_names: Names of the controls, in the order of an action.
        reward_credit: Whether each executor is paid the reward of its own reply or the team's; see `reward.credit`.

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
        self._coordinator, *others = (
            model_without_login(model) if isinstance(model, str) else model for model in (coordinator, *executors)
        )
        self._executors = tuple(others)
        self._embedder = embedder
        self._trace = trace
        self.answer_rule = make_rule(config.answer_rule if answer_rule is None else answer_rule)
        self.prompts = make_prompts(config.prompts if prompts is None else prompts)
        self.control_names: tuple[str, ...] = config.sampling.controls
        self._scale = ControlScale(config.sampling)
        self._speaks, self._weighs = "speak" in self.control_names, "weight" in self.control_names
        self._terms = make_terms(config.reward.terms if reward_terms is None else reward_terms)
        self._parts = self._made_parts(config.observation.parts if observation_parts is None else observation_parts)
        self.reward_terms = (*TERMS, *(term.name for term in self._terms))
        self.reward_credit = config.reward.credit
        self._weights = check_weights(config.reward.initial_weights, self.reward_terms)
        self._price = config.reward.price
        self._draws_price = config.reward.price_max is not None
        self._priced = self._speaks or config.reward.price > 0.0
        if config.reward.al == "likelihood" and llm == "simulated" and not all(isinstance(e, LLM) for e in executors):
            check_offered([LLMInfo("simulated", "simulated", "", json_mode=True)])  # others are checked once made
        bank = given_bank(llm)
        if bank is not None:
            check_playable(config, bank)
            self._executors = cast(bank, coordinator, executors, config.n_agents)
        self._order: ProblemOrder | None = None
        self._deck: object = None
        self._strategies: dict[str, Strategy] = {}
        self._scored: tuple[Round, Weights, Score] | None = None
        self._tallies: Sequence[Tally | None] = [None] * config.n_agents
        self._labels: tuple[int, ...] = (-1,) * config.n_agents
        self._team: Team | None = None
        self._encoder: TextEncoder | None = None

    def _made_parts(self, specs: Sequence[str | ObservationPart]) -> tuple[ObservationPart, ...]:
        """The added parts; who may stay silent, or weighs, must see how the answers stand."""
        made = make_parts(specs)
        if not (self._speaks or self._weighs) or any(part.name == DISCUSSION for part in made):
            return made
        return make_parts([*specs, DISCUSSION])

    # For trainers -----------------------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> observations.Layout:
        """Sizes of the observation's parts; the first use may load the embedder."""
        config, further = self.config, tuple((part.name, part.dim) for part in self._parts)
        shape = (self.encoder.embedder.dim, config.memory_length, config.max_rounds)
        return observations.Layout(*shape, further, len(self.control_names))

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
        """The same Box of the controls for every agent."""
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
    def made_with(self) -> dict[str, Any]:
        """What is needed to make such a team again for a policy that was trained here; plain values for JSON.

        All settings of team and episodes, without those on calls and devices; `embedder`, a description that
        `make_embedder` accepts, or `None` with its `embedder_name` if it was given as an object; `llm`, for people,
        without the address of a server.
        """
        settings = self.config.model_dump(mode="json", exclude={"llm", "device", "text_infos", "recorded"})
        name = self.encoder.embedder.name
        spec = self._embedder if isinstance(self._embedder, str) else None
        llm = self._llm if isinstance(self._llm, str) else type(self._llm).__name__
        return {
            **settings,
            "embedder": name if spec == "auto" else spec,
            "embedder_name": name,
            "llm": without_address(llm),
        }

    @property
    def price(self) -> float:
        """What a call, or 1,000 tokens, takes off the rewards of the next `step`; can be set at any time, >= 0.

        With `reward.price_max` each episode draws its own, until one is set.

        The infos have `PRICE_KEYS` if `reward.price` was set or `speak` is a control.
        """
        return self._price

    @price.setter
    def price(self, price: float) -> None:
        self._price, self._draws_price = check_price(price), False

    @property
    def prospect(self) -> float:
        """The team reward that a `step` would pay for what stands now, without its price; for training alone.

        It is judged with the gold answer, so no policy may see it; a learner may use it as a potential. 0.0 before the
        first round of a decision, and after the end. Comparing formulas may take seconds, and blocks.
        """
        decision = None if self.episode is None else self.episode.decisions[-1]
        if decision is None or not decision.rounds or decision.submitted:
            return 0.0
        if not self._has_score(decision.rounds[-1]):
            self._keep_score(decision.rounds[-1], self._score(decision.rounds[-1]))
        assert self._scored is not None
        return float(self._scored[-1].team.total)

    @property
    def standing_right(self) -> tuple[bool | None, ...]:
        """Whether each executor's standing reply is right; `None` without a valid one. For training alone."""
        decision = self._running_episode().decisions[-1]
        if not decision.rounds:
            return (None,) * self.config.n_agents
        if not self._has_score(decision.rounds[-1]):
            self._keep_score(decision.rounds[-1], self._score(decision.rounds[-1]))
        assert self._scored is not None
        return tuple(None if said is None else said.correct for said in self._scored[-1].replies)

    @property
    def standing_labels(self) -> tuple[int, ...]:
        """A number for each executor's standing answer, equal where the answer rule calls two the same; -1 for none.

        Known where executors may stay silent or weigh their reply, or `discussion` is observed.
        """
        return self._labels

    @property
    def amounts(self) -> list[float]:
        """What each executor's calls in the running decision came to: answered calls, or 1,000 tokens (`price_per`)."""
        rounds = self._running_episode().decisions[-1].rounds
        return amounts(rounds, self.config.reward.price_per) if rounds else [0.0] * len(self.possible_agents)

    @property
    def info_keys(self) -> tuple[str, ...]:
        """Keys of each agent's info at a `step`: `INFO_KEYS`, and those of further reward terms, controls, a price."""
        return info_keys(self.reward_terms[len(TERMS) :], self.control_names, priced=self._priced)

    @property
    def last_outcome(self) -> RoundOutcome | None:
        """Result of the last round in the current decision; `None` before its first round."""
        rounds = self._running_episode().decisions[-1].rounds
        return RoundOutcome(rounds[-1].commitment.answer, rounds[-1].failed, rounds[-1].silent) if rounds else None

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

        With the control `speak` it asks those who speak; with nobody it costs no call (`last_outcome.silent`).

        Args:
            actions: The controls per agent, clipped to the action space.

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
        """Judge the commitment for these controls, and pay every executor its own reward or the team's.

        Runs a round first, unless the last round of this decision had exactly these controls. With the control `speak`
        it runs one only if the decision has none. Where only weights are new, they are counted in a round without a
        call.

        Args:
            actions: The controls per agent, clipped to the action space.

        Returns:
            Observations, rewards in [0, 1] (less the price), terminations, truncations (never), infos with `info_keys`.

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
        self.episode = Episode(problem, seed=self._order.episode_seed(), controls=self.control_names)
        self._deck = self._scored = None
        if self._draws_price:
            self._price = drawn_price(self.config.reward, derive_seed(self.episode.seed, "price"))
        self._tallies, self._labels = [None] * len(self._tallies), (-1,) * len(self._tallies)
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
        if not decision.rounds or self._needs_round(decision.rounds[-1], profile):
            await self._round(profile)
        elif self._weighs and [r.controls.weight for r in decision.rounds[-1].replies] != [e.weight for e in profile]:
            await self._add(await self.team.rest(decision.rounds[-1], profile))
        await self._pay(decision)
        infos = self._tell(step_infos(episode, self._agreed, priced=self._priced))
        self._shared.decision += 1
        self._shared.rounds = 0
        self._tallies, self._labels = [None] * len(self._tallies), (-1,) * len(self._tallies)
        done = self._shared.decision >= self.config.max_rounds
        if not done:
            episode.decisions.append(Decision())
        names = self.possible_agents
        if done:
            self.agents = []
        rewards = {agent: float(paid) for agent, paid in zip(names, decision.paid, strict=True)}
        return self._observe(), rewards, dict.fromkeys(names, done), dict.fromkeys(names, False), infos

    def _needs_round(self, last: Round, profile: tuple[PromptEmbedding, ...]) -> bool:
        """Whether a step with these controls asks again: what was sampled with others, unless executors choose."""
        if self._speaks:
            return False
        sampled = tuple(reply.controls for reply in last.replies)
        if not self._weighs:
            return sampled != profile
        return any(old != replace(new, weight=old.weight) for old, new in zip(sampled, profile, strict=True))

    async def _round(self, profile: tuple[PromptEmbedding, ...]) -> None:
        """Ask those who speak, or nobody."""
        episode = self._running_episode()
        if episode.strategy is None:
            episode.strategy = await self._planned()
            await self._see_plan()
        rounds = episode.decisions[-1].rounds
        before = rounds[-1] if rounds else None
        asked = speakers(profile, first=before is None) if self._speaks else None
        if asked == () and before is not None:
            await self._add(await self.team.rest(before, profile))
            return
        last = episode.last_round
        if self._deck is None:
            self._deck = self.team.new_deck(episode.problem, episode.seed)
        round_ = await self.team.dealing(self._deck).round(
            episode.problem,
            episode.strategy,
            profile,
            index=len(rounds),
            last_answer=None if last is None else last.commitment.answer,
            seed=derive_seed(episode.seed, len(episode.decisions) - 1, len(rounds)),
            heard=self.encoder.ahead,  # while the other executors and the coordinator are at work
            asked=asked,
            before=before,
        )
        await self._add(round_)

    async def _add(self, round_: Round) -> None:
        """Show a round to the executors, and write it down."""
        episode = self._running_episode()
        await self._see(round_)
        episode.decisions[-1].rounds.append(round_)
        if self._trace is not None:
            shared_lines(self._trace).append(episode.round_row(len(episode.decisions) - 1, round_))

    async def _see(self, round_: Round) -> None:
        """Update all observations with the round."""
        texts = [reply.text for reply in round_.replies if reply.text is not None]
        if round_.commitment.text is not None:
            texts.append(round_.commitment.text)
        rows = dict(zip(texts, await self.encoder.aencode(texts), strict=True)) if texts else {}
        changed = bool(self._parts) and not round_.silent
        self._agreed, labels = await judging(self.answer_rule, _compared, round_, self.answer_rule, changed)
        if changed:
            self._tallies = tallies(round_.replies, labels)
            self._labels = tuple(labels)
        observations.see(self._shared, self._private, round_, rows, self._agreed, self._scale)

    async def _pay(self, decision: Decision) -> None:
        round_ = decision.rounds[-1]
        if not self._has_score(round_):
            found = await judging(self.answer_rule, self._score, round_, slow=bool(self._terms))
            self._keep_score(round_, found)
        assert self._scored is not None
        paid = self._scored[-1]
        if self._price:
            paid = charge(paid, costs(decision.rounds, self._price, self.config.reward.price_per))
        decision.judgement, decision.replies_judged = paid.judgement, paid.replies
        decision.rewards, decision.team_reward, decision.weights = paid.rewards, paid.team, self._weights
        decision.credit = self.reward_credit

    def _score(self, round_: Round) -> Score:
        """Judgements and rewards of the last round, without a price; blocks."""
        rows = [own.reply if r.valid else None for own, r in zip(self._private, round_.replies, strict=True)]
        problem, commitment = self._running_episode().problem, self._shared.commitment
        how = (self.config.reward, self._weights, self.answer_rule, self._terms)
        return score(problem, round_, rows, commitment, *how)

    def _has_score(self, round_: Round) -> bool:
        return self._scored is not None and self._scored[0] is round_ and self._scored[1] == self._weights

    def _keep_score(self, round_: Round, found: Score) -> None:
        self._scored = round_, self._weights, found

    def _read(self, actions: Actions) -> tuple[PromptEmbedding, ...]:
        if not self.agents:
            raise EpisodeError("no episode is running; call reset first")
        return self._scale.read(actions, self.possible_agents)

    def _observe(self) -> Observations:
        if self._parts:
            sizes = (self._shared.decision, self.config.max_rounds)
            episode, agents = self._running_episode(), self.config.n_agents
            known = known_to_each(agents, episode, *sizes, self._tallies, self._price)
            for own, what in zip(self._private, known, strict=True):
                own.further = np.concatenate([part_values(part, what) for part in self._parts])
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


def _compared(round_: Round, rule: AnswerRule, everyone: bool) -> tuple[list[bool], tuple[int, ...]]:
    """Who agrees with the commitment and, for `everyone`, numbers that tell who agrees with whom."""
    return agrees(round_, rule), labels_of([r.answer for r in round_.replies], rule) if everyone else ()


def without_address(llm: str) -> str:
    """The name of a backend for people: `a server` for a URL, which no file may choose and nobody else needs."""
    return "a server" if "://" in llm else llm

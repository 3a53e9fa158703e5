"""Runs the rounds of a team: strategy, concurrent replies, commitment. Only this module calls the team's models.

A team larger than `cluster_size` works in clusters. Each cluster has a local coordinator that condenses its executors'
replies as soon as all have arrived. The team's coordinator merges the local commitments.

Where executors may stay silent, a round asks some of them. The commitment is made from all replies that stand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeVar

from econ_env.answers import AnswerRule, Extracted, judging
from econ_env.config import EnvConfig
from econ_env.control_names import NEUTRAL_PENALTY
from econ_env.errors import BudgetError, LLMContextError, LLMError, LLMRequestError, LLMUnavailableError
from econ_env.llm.protocol import LLM, ChatRequest, Completion, Message
from econ_env.llm.seeding import derive_seed
from econ_env.records import SILENCE, Cluster, Commitment, Problem, PromptEmbedding, Reply, Round, Strategy
from econ_env.team.likelihood import check_given
from econ_env.team.prompts import DEFAULT_PROMPTS, REPLY_SCHEMA, PromptSet, ReplyFormat
from econ_env.team.redact import redact_answer
from econ_env.team.speaking import spoken, standing, without_cost
from econ_env.team.thought import without_thought
from econ_env.team.votes import majority_commitment, stated, unanimous, vote, weights_of

COUNTED = ("vote", "weighted")
"""Settings of `commitment` without a coordinator; their teams are flat."""
STRATEGIES_KEPT = 512
"""Strategies that an environment keeps."""

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """A coordinator and n executors, each a model; calls them and reads their texts.

    Attributes:
        coordinator: Plans and condenses; in a large team it is also every local coordinator.
        executors: One model per executor; the same object may occur several times.
        config: Token limits, format, bounds and deadlines.
        prompts: The prompts of the models.
        rule: Reads and compares answers.
        logprobs: Whether replies are asked for with log-probabilities.
    """

    coordinator: LLM
    executors: tuple[LLM, ...]
    config: EnvConfig
    prompts: PromptSet = DEFAULT_PROMPTS
    rule: AnswerRule = field(kw_only=True)
    logprobs: bool = field(default=False, kw_only=True)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models, each once, the coordinator's first."""
        return tuple(dict.fromkeys(llm.info.model for llm in (self.coordinator, *self.executors)))

    def form(self, llm: LLM) -> ReplyFormat:
        """JSON or text, as the settings say; `auto` asks small models for text, since JSON hurts them."""
        if self.config.reply_format == "auto":
            return "text" if llm.info.small else "json"
        return self.config.reply_format

    def new_deck(self, problem: Problem, seed: int) -> object:
        """What an episode must remember of the replies that it was given; nothing, unless the team is recorded."""

    def dealing(self, deck: object) -> Team:
        """The team within the episode with this deck."""
        return self

    async def plan(self, problem: Problem) -> Strategy:
        """The coordinator's strategy, at most `strategy_max_tokens` long and without the answer.

        Its seed depends on the question alone, so a question has one strategy.

        Raises:
            LLMRequestError: The server will refuse every request.
            BudgetError: The budget is spent.
        """
        request = ChatRequest(
            messages=self.prompts.strategy(problem.question, self.config.strategy_tokens),
            model=self.coordinator.info.model,
            temperature=self.config.coordinator_temperature,
            repetition_penalty=NEUTRAL_PENALTY,
            top_p=self.config.sampling.top_p_default,
            max_tokens=self.config.strategy_max_tokens,
            seed=derive_seed("strategy", problem.question),
            role="strategy",
            problem_id=problem.id,
        )
        done = await self._ask(self.coordinator, request)
        if isinstance(done, LLMError):
            return Strategy(text=None, usage=done.usage, error=str(done))
        text, redacted = redact_answer(done.text, problem.question, problem.answer)
        error = None if text else "nothing left"
        return Strategy(text or None, usage=done.usage, redacted=redacted, error=error, thought=done.thought)

    async def plan_once(self, problem: Problem, kept: dict[str, Strategy]) -> Strategy:
        """The strategy of a question: the kept one, or a new one, which is then kept.

        Args:
            problem: The problem to plan for.
            kept: Strategies by question, at most `STRATEGIES_KEPT`; the oldest are removed first.

        Raises:
            LLMRequestError: The server will refuse every request.
            BudgetError: The budget is spent.
        """
        known = kept.get(problem.question)
        if known is not None:
            return known
        made = await self.plan(problem)
        if made.usage.calls:  # a failed call is tried again next time
            if len(kept) >= STRATEGIES_KEPT:
                kept.pop(next(iter(kept)))
            # a reused strategy counts like an answer from the cache: with the tokens of its original call
            kept[problem.question] = replace(made, usage=replace(made.usage, cache_hits=made.usage.calls, retries=0))
        return made

    async def round(
        self,
        problem: Problem,
        strategy: Strategy,
        controls: Sequence[PromptEmbedding],
        *,
        index: int,
        last_answer: str | None,
        seed: int,
        heard: Callable[[str], None] | None = None,
        asked: Sequence[int] | None = None,
        before: Round | None = None,
    ) -> Round:
        """Ask executors at once, each with its own controls, then the coordinator or, in clusters, coordinators.

        A local coordinator waits only for its own executors; the team's coordinator waits for all clusters. A cluster
        in which nobody is asked keeps its local commitment.

        Args:
            problem: The problem to solve; its gold answer is not shown to any model.
            strategy: The plan all executors see.
            controls: The controls of each executor.
            index: Number of the round within its decision, from 0.
            last_answer: Answer of the last commitment, if there was one.
            seed: Seed of all sampling in the round.
            heard: Called with the text of each executor's reply as soon as it is there.
            asked: Numbers of the executors to ask, in order, at least one; by default all.
            before: The round before this one in the decision; its replies stand where nobody is asked again.

        Raises:
            LLMRequestError: The server will refuse every request.
            BudgetError: The budget is spent.
        """
        start = time.perf_counter()
        forms = [self.form(llm) for llm in self.executors]
        shown = last_answer if self.config.show_commitment else None
        shown_in = {
            form: self.prompts.executor(problem.question, strategy.text, shown, form) for form in dict.fromkeys(forms)
        }
        everyone = range(len(forms))
        members = everyone if asked is None else asked

        async def give(numbers: Sequence[int]) -> dict[int, Reply]:
            prompts, own = [shown_in[forms[number]] for number in numbers], [controls[number] for number in numbers]
            said = await self.replies(problem, prompts, own, index=index, seed=seed, members=numbers, heard=heard)
            return dict(zip(numbers, said, strict=True))

        async def play(number: int, part: range) -> tuple[tuple[Reply, ...], Cluster]:
            numbers = [member for member in members if member in part]
            stands = standing(part, controls, before, await give(numbers) if numbers else {})
            agents = tuple(reply.agent for reply in stands)
            if not numbers:
                local = SILENCE if before is None else without_cost(before.clusters[number].commitment)
                return stands, Cluster(agents, local)
            local = await self.commit(problem, spoken(stands), index=index, seed=seed, cluster=number)
            return stands, Cluster(agents, local)

        parts = split_team(len(forms), 0 if self.config.commitment in COUNTED else self.config.cluster_size)
        clusters: tuple[Cluster, ...] = ()
        if len(parts) == 1:
            replies = standing(everyone, controls, before, await give(members))
            commitment = await self.commit(problem, spoken(replies), index=index, seed=seed)
        else:
            played = await all_or_none([asyncio.ensure_future(play(*part)) for part in enumerate(parts)])
            replies = tuple(reply for said, _ in played for reply in said)
            clusters = tuple(cluster for _, cluster in played)
            commitment = await self._merge(problem, replies, clusters, index=index, seed=seed)
        names = tuple(replies[number].agent for number in members)
        return Round(index, strategy, replies, commitment, time.perf_counter() - start, clusters, asked=names)

    async def rest(self, before: Round, controls: Sequence[PromptEmbedding]) -> Round:
        """A round in which nobody is asked, which costs no call: what stands is submitted, weights are counted again.

        Args:
            before: The round before it in the decision.
            controls: The controls of each executor, of which only `speak` and `weight` have an effect.
        """
        start = time.perf_counter()
        replies = standing(range(len(controls)), controls, before, {})
        clusters = tuple(replace(part, commitment=without_cost(part.commitment)) for part in before.clusters)
        commitment = without_cost(before.commitment)
        if self.config.commitment == "weighted" and not before.failed:
            commitment = await self._count(replies)
        seconds = time.perf_counter() - start
        return Round(before.index + 1, before.strategy, replies, commitment, seconds, clusters, asked=())

    async def _merge(
        self, problem: Problem, replies: Sequence[Reply], clusters: Sequence[Cluster], *, index: int, seed: int
    ) -> Commitment:
        """The team's commitment from the local ones; if its call fails, the majority of all executors' answers."""
        local = [cluster.commitment for cluster in clusters if not cluster.silent]
        merged = await self.commit(problem, local, index=index, seed=seed)
        if merged.source == "majority":
            counted = await judging(self.rule, majority_commitment, replies, merged.error, self.rule)
            return replace(counted, usage=merged.usage) if counted.answer is not None else merged
        return merged

    async def replies(
        self,
        problem: Problem,
        prompts: Sequence[tuple[Message, ...]],
        controls: Sequence[PromptEmbedding],
        *,
        index: int,
        seed: int,
        first: int = 0,
        members: Sequence[int] | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> tuple[Reply, ...]:
        """Ask for one reply per prompt, all at once; with more prompts than executors, the executors take turns.

        Args:
            problem: The problem that the prompts are about.
            prompts: A chat per reply.
            controls: The controls of each reply.
            index: Number of the round within its decision, from 0.
            seed: Seed of all sampling in the round. The first replies do not depend on how many prompts follow.
            first: Number of the executor that the first prompt goes to; the next ones follow.
            members: Number of the executor that each prompt goes to, in place of `first`.
            heard: Called with the text of each reply as soon as it is there.

        Returns:
            A reply per prompt; invalid if its call failed or exceeded the time limit `llm.round_timeout`.

        Raises:
            LLMRequestError: The server will refuse every request, or gives no log-probabilities where AL needs them.
            BudgetError: The budget is spent.
        """
        # The round's seeds are consecutive numbers in a block of 2**16, so that a simulated team can correlate them.
        block = derive_seed(seed, "executors") >> 16 << 16
        numbers = range(first, first + len(prompts)) if members is None else members
        asked = [
            self._reply(problem, messages, own, number, index, block + number, heard)
            for number, messages, own in zip(numbers, prompts, controls, strict=True)
        ]
        if len(asked) == 1:  # needs no task of its own
            return (await asked[0],)
        return await all_or_none([asyncio.ensure_future(reply) for reply in asked])

    async def _reply(
        self,
        problem: Problem,
        messages: tuple[Message, ...],
        controls: PromptEmbedding,
        number: int,
        index: int,
        seed: int,
        heard: Callable[[str], None] | None,
    ) -> Reply:
        agent = f"executor_{number}"
        llm = self.executors[number % len(self.executors)]
        form = self.form(llm)
        sampled = self.config.sampling.asked(controls)
        request = ChatRequest(
            messages=messages,
            model=llm.info.model,
            temperature=sampled["temperature"],
            repetition_penalty=sampled["repetition_penalty"],
            top_p=sampled["top_p"],
            min_p=sampled["min_p"],
            max_tokens=self.config.reply_max_tokens,
            seed=seed,
            json_schema=REPLY_SCHEMA if form == "json" else None,
            require_json=form == "json",
            logprobs=self.logprobs,
            role="executor",
            agent=agent,
            problem_id=problem.id,
            round_index=index,
        )
        done = await self._ask(llm, request)
        if isinstance(done, LLMError):
            return Reply(agent, controls, None, None, "invalid", usage=done.usage, error=str(done))
        if self.config.reward.al == "likelihood":
            check_given(done, llm.info)
        if heard is not None:
            heard(done.text)
        read = await self._read(done.text)
        return Reply(
            agent, controls, done.text, read.answer, "valid", read.parsed_json, done.usage,
            thought=done.thought, confidence=done.confidence, finish_reason=done.finish_reason, chars=len(done.text),
        )  # fmt: skip

    async def commit(
        self,
        problem: Problem,
        said: Sequence[Reply] | Sequence[Commitment],
        *,
        index: int,
        seed: int,
        cluster: int | None = None,
    ) -> Commitment:
        """Let a coordinator condense replies or local commitments; a failed call falls back to their majority.

        Args:
            problem: The problem that they are about.
            said: The replies or local commitments; those without a text are left out.
            index: Number of the round within its decision, from 0.
            seed: Seed of the round.
            cluster: Number of the local coordinator's cluster; `None` for the team's coordinator.

        Raises:
            LLMRequestError: The server will refuse every request.
            BudgetError: The budget is spent.
        """
        texts = [part.text for part in said if part.text is not None]
        if not texts:
            return Commitment(None, None, "none", error="no valid reply to condense")
        if self.config.commitment in COUNTED:
            return await self._count(said)
        if self.config.commitment == "divided" and await judging(self.rule, unanimous, said, self.rule):
            return Commitment(stated(said[0].answer), said[0].answer, "unanimous")
        form = self.form(self.coordinator)
        request = ChatRequest(
            messages=self.prompts.commitment(problem.question, texts, form),
            model=self.coordinator.info.model,
            temperature=self.config.coordinator_temperature,
            repetition_penalty=NEUTRAL_PENALTY,
            top_p=self.config.sampling.top_p_default,
            max_tokens=self.config.commitment_max_tokens,
            seed=derive_seed(seed, "commitment", *(() if cluster is None else (cluster,))),
            json_schema=REPLY_SCHEMA if form == "json" else None,
            require_json=form == "json",
            role="commitment",
            agent="" if cluster is None else f"cluster_{cluster}",
            problem_id=problem.id,
            round_index=index,
        )
        done = await self._ask(self.coordinator, request)
        if isinstance(done, LLMError):
            counted = await judging(self.rule, majority_commitment, said, str(done), self.rule)
            return replace(counted, usage=done.usage)
        read = await self._read(done.text)
        return Commitment(done.text, read.answer, "coordinator", read.parsed_json, done.usage, thought=done.thought)

    async def write(
        self,
        messages: tuple[Message, ...],
        *,
        problem_id: str,
        seed: int,
        max_tokens: int,
        temperature: float | None = None,
        top_p: float | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Completion | LLMError:
        """A text of the coordinator's model besides its commitment, such as the words of an answer for a reader.

        Args:
            messages: The chat.
            problem_id: The problem that it is about.
            seed: Seed of the sample.
            max_tokens: Most tokens of the text.
            temperature: Sampling temperature; by default `coordinator_temperature`.
            top_p: Nucleus mass, above 0; by default that of the coordinator's calls.
            schema: Schema of the JSON to write; `None` for text.

        Returns:
            The text, or the error if only this call failed.

        Raises:
            LLMRequestError: The server will refuse every request.
            BudgetError: The budget is spent.
        """
        sampling = self.config.sampling
        request = ChatRequest(
            messages=messages,
            model=self.coordinator.info.model,
            temperature=self.config.coordinator_temperature if temperature is None else temperature,
            repetition_penalty=NEUTRAL_PENALTY,
            top_p=sampling.top_p_default if top_p is None else top_p,
            max_tokens=max_tokens,
            seed=seed,
            json_schema=schema,
            role="commitment",
            problem_id=problem_id,
        )
        return await self._ask(self.coordinator, request)

    async def _count(self, said: Sequence[Reply] | Sequence[Commitment]) -> Commitment:
        """The majority's answer in a sentence of its own, so that AL favours no executor; weighted if that is set."""
        weights = None
        if self.config.commitment == "weighted":
            weights = weights_of([part for part in said if isinstance(part, Reply)])
        counted = await judging(self.rule, vote, said, self.rule, weights)
        return counted if counted.answer is None else replace(counted, text=stated(counted.answer), parsed_json=False)

    async def vote(self, replies: Sequence[Reply], weights: Sequence[float] | None = None) -> Commitment:
        """The replies' majority by the team's rule, without a call; see `econ_env.methods.vote`."""
        return await judging(self.rule, vote, replies, self.rule, weights)

    async def _read(self, text: str) -> Extracted:
        return await judging(self.rule, self.rule.extract, text)

    async def _ask(self, llm: LLM, request: ChatRequest) -> Completion | LLMError:
        """The completion, or the error if only this call failed; errors that must end the run are raised.

        Every text of a model enters the team here, and only what the model says goes on.
        """
        seconds = self.config.llm.round_timeout
        try:
            if llm.info.keeps_deadline:
                return without_thought(await llm.complete(request))
            async with asyncio.timeout(seconds):
                return without_thought(await llm.complete(request))
        except TimeoutError:
            return LLMUnavailableError(f"no answer within {seconds:g} s")
        except LLMContextError as error:
            return error
        except (LLMRequestError, BudgetError):
            raise
        except LLMError as error:
            return error


async def all_or_none(tasks: Sequence[asyncio.Future[T]]) -> tuple[T, ...]:
    """Results in order; the first error cancels the rest, waits for them and is raised."""
    try:
        return tuple(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def split_team(n_agents: int, cluster_size: int) -> tuple[range, ...]:
    """Split executors into clusters of neighbours: as few and as even as possible, the larger ones first.

    Nine executors in clusters of at most four are 3 + 3 + 3; five are 3 + 2. A team that fits into one cluster is flat.

    Args:
        n_agents: Number of executors, >= 1.
        cluster_size: Most executors in a cluster; 0 keeps every team flat.

    Returns:
        The executors' numbers by cluster, together 0 .. n_agents - 1 in order.
    """
    count = -(-n_agents // cluster_size) if cluster_size else 1
    size, larger = divmod(n_agents, count)
    starts = [number * size + min(number, larger) for number in range(count + 1)]
    return tuple(range(start, stop) for start, stop in pairwise(starts))

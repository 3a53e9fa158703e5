"""Runs a probe: asks the questions, compares the replies, and remembers what was found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from econ_env.config import SamplingConfig
from econ_env.control_names import ControlName
from econ_env.errors import LLMError, LLMLimitedError, LLMRequestError
from econ_env.llm.cache import digest
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.http.message import ran_out
from econ_env.llm.probe import questions as ask
from econ_env.llm.probe.chance import alike, differ, narrower
from econ_env.llm.probe.lines import PROBE_VERSION, Form, Line, Probed, Verdict
from econ_env.llm.protocol import ChatRequest, Completion

GROUP, MORE = 6, 3
"""Replies under each setting, and further ones where these leave the verdict open."""
ALIVE, DEAD = 0.01, 0.1
"""A control is alive if the difference seen had at most the first probability by chance, and dead above the second."""
STRONG_PENALTY = 1.5
TIGHT_TOP_P, TIGHT_MIN_P = 0.01, 0.9
_SAME_SEED = 3

Texts = list[str]
Settings = Callable[[ChatRequest], ChatRequest]


def expected_cost(form: Form, sampling: SamplingConfig) -> tuple[int, int]:
    """Calls and tokens that a probe takes at most, of a model that does not think.

    Args:
        form: Which lines are asked for.
        sampling: Which controls there are, and their bounds.
    """
    groups = GROUP + MORE
    if form == "short":
        calls = 1 + groups * 2 * len(sampling.sampled)
        return calls, calls * (ask.PROMPT_TOKENS + ask.LONG)
    calls = 1 + groups * 8 + GROUP + 2 * _SAME_SEED + 3
    return calls, calls * (ask.PROMPT_TOKENS + ask.LONG)


async def probe(llm: OpenAIClient, sampling: SamplingConfig, form: Form = "full") -> Probed:
    """Ask a server which of its controls have an effect on a model.

    Args:
        llm: The model; its own settings apply, but nothing is read from the cache.
        sampling: Bounds of the controls, between which their effect is looked for.
        form: `short` asks only for the controls that are learned.

    Raises:
        LLMError: Not even a plain question is answered.
        BudgetError: The budget is spent.
    """
    return await _Probe(llm, sampling, form).run()


async def remembered_probe(llm: OpenAIClient, sampling: SamplingConfig) -> Probed:
    """The short probe; what was found once is kept in the cache per server, model and bounds, unless it is off.

    Raises:
        LLMError: Not even a plain question is answered.
        BudgetError: The budget is spent.
    """
    about = [llm.server.identity, await llm.model_name(), repr(llm.config.extra_body), repr(sampling)]
    key = digest([PROBE_VERSION, *about, repr(llm.config.extra_headers), repr(llm.config.extra_for)])
    kept = await llm.kept_note(key)
    found = None if kept is None else Probed.read(kept)
    if found is None:
        found = await probe(llm, sampling, "short")
        if all(line.verdict != "unclear" for line in found.lines):  # another time may tell more
            await llm.keep_note(key, json.dumps(found.plain()))
    return found


class _RefusedError(Exception):
    """A group of questions was refused."""


class _Probe:
    """One probe; counts its calls.

    Args:
        llm: The model.
        sampling: Bounds of the controls.
        form: Which lines are asked for.
    """

    def __init__(self, llm: OpenAIClient, sampling: SamplingConfig, form: Form) -> None:
        self.llm = llm
        self.sampling = sampling
        self.form = form
        self.answers: list[Completion] = []
        self.seeds = 1
        low, high = sampling.temperature_min, sampling.temperature_max
        self.words = replace(ask.question(ask.WORDS, ask.SHORT, 0), temperature=high)
        self.cold = replace(self.words, temperature=low)
        # At a high temperature the most likely tokens are so many that top_p hardly leaves any out.
        self.mild = replace(self.words, temperature=min(1.0, high))
        self.apples = replace(ask.question(ask.APPLES, ask.LONG, 0), temperature=low)

    async def run(self) -> Probed:
        """Ask all questions of the form."""
        start = time.perf_counter()
        first = await self._one(replace(ask.question(ask.SUM, ask.CUT, 1), temperature=self.mild.temperature))
        # The next calls show what else is refused; later ones then are not sent twice.
        warm: Texts = []
        if self.form == "short" and (first.thought or first.usage.thought_tokens):
            lines = [self._unasked(name, first) for name in self.sampling.sampled]
        elif self.form == "short":
            lines = list(await asyncio.gather(*(self._learned(name) for name in self.sampling.sampled)))
        else:
            lines = [await self._temperature(warm)]
            mild: Texts = []
            lines += [await self._top_p(mild), await self._min_p(mild)]  # the second needs fewer replies
            rest = (self._penalty_by_name(), self._json(), self._logprobs(), self._several())
            lines += await asyncio.gather(*rest)
            lines.insert(4, await self._seed(warm))  # its calls must be alone
            lines += [self._thinking(), self._limits(first)]
        usage = [answer.usage for answer in self.answers]
        return Probed(
            where=self.llm.server.where,
            model=first.model or self.llm.info.model,
            form=self.form,
            lines=tuple(lines),
            calls=len(self.answers),
            tokens=sum(one.tokens for one in usage),
            seconds=time.perf_counter() - start,
        )

    # Asking -----------------------------------------------------------------------------------------------------------

    async def _one(self, request: ChatRequest, llm: OpenAIClient | None = None) -> Completion:
        done = await (self.llm if llm is None else llm).complete(request)
        self.answers.append(done)
        return done

    async def _texts(self, request: ChatRequest, count: int, llm: OpenAIClient | None = None) -> Texts:
        """Replies to a request with as many seeds; replies that failed are missing.

        Raises:
            _RefusedError: The server refuses the request.
        """
        count = max(0, count)
        first, self.seeds = self.seeds, self.seeds + count
        calls = [self._one(one, llm) for one in ask.several(request, count, first)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        for error in done:
            if isinstance(error, LLMRequestError) and not isinstance(error, LLMLimitedError):
                raise _RefusedError(str(error))
            if isinstance(error, BaseException) and (
                not isinstance(error, LLMError) or isinstance(error, LLMLimitedError)
            ):
                raise error
        return [answer.text for answer in done if isinstance(answer, Completion)]

    # Lines ------------------------------------------------------------------------------------------------------------

    async def _compare(
        self,
        name: str,
        how: str,
        one: ChatRequest,
        two: ChatRequest,
        test: Callable[[Sequence[str], Sequence[str]], float],
        known: Texts,
        llm: OpenAIClient | None = None,
    ) -> Line:
        """Compare replies under two settings; `known` are replies under the second, and gets those asked here."""
        texts: Texts = []
        calls = 0
        chance = None
        try:
            for size in (GROUP, GROUP + MORE):
                calls += max(0, size - len(texts)) + max(0, size - len(known))
                texts += await self._texts(one, size - len(texts), llm)
                known += await self._texts(two, size - len(known))
                chance = _chance(test, texts, known)
                if chance is None or not ALIVE < chance <= DEAD:
                    break
        except _RefusedError as refusal:
            return Line(name, "refused", how, str(refusal), calls=calls)
        if name in self.llm.dead_controls:
            return Line(name, "refused", how, "the server refuses it", calls=calls)
        if chance is None:
            return Line(name, "unclear", how, "too few replies", calls=calls)
        value = f"alike {alike(texts):.2f} and {alike(known):.2f}"
        return Line(name, _verdict(chance), how, value, chance, calls)

    def _unasked(self, name: str, first: Completion) -> Line:
        """A line without further calls: what a model that thinks says costs too much to be asked unasked-for."""
        if name in self.llm.dead_controls:
            return Line(name, "refused", "one reply", "the server refuses it")
        tokens = first.usage.thought_tokens
        return Line(
            name, "unclear", "one reply", f"not asked, since the model thinks ({tokens} tokens): use econ probe"
        )

    async def _learned(self, name: ControlName) -> Line:
        """The line of a control in the short form."""
        if name == "repetition_penalty":
            return await self._penalty_of_both()
        ask_for = {"temperature": self._temperature, "top_p": self._top_p, "min_p": self._min_p}
        return await ask_for[name]([])

    async def _temperature(self, warm: Texts) -> Line:
        low, high = self.cold.temperature, self.words.temperature
        how = f"T = {low:g} and {high:g}"
        return await self._compare("temperature", how, self.cold, self.words, narrower, warm)

    async def _top_p(self, mild: Texts) -> Line:
        tight = replace(self.mild, top_p=TIGHT_TOP_P)
        how = f"top_p = {TIGHT_TOP_P:g} and 1"
        return await self._compare("top_p", how, tight, self.mild, narrower, mild)

    async def _min_p(self, mild: Texts) -> Line:
        tight = replace(self.mild, min_p=TIGHT_MIN_P)
        how = f"min_p = {TIGHT_MIN_P:g} and 0"
        line = await self._compare("min_p", how, tight, self.mild, narrower, mild)
        if "min_p" in self.llm.refused_fields:
            return replace(line, verdict="refused", value="the server refuses it", chance=None)
        return line

    async def _penalty_of_both(self) -> Line:
        return await self._penalty("repetition_penalty", [], self.llm)

    async def _penalty_by_name(self) -> Line:
        """The penalty under each of its names, one at a time."""
        plain: Texts = []
        found: dict[str, Line] = {}
        for name in self.llm.server.penalty_fields:
            only = OpenAIClient(replace(self.llm.server, penalty_fields=(name,)), self.llm.config)
            try:
                found[name] = await self._penalty(name, plain, only)
            finally:
                await only.aclose()
        calls = sum(line.calls for line in found.values())
        best = min(found.values(), key=lambda line: _ORDER.index(line.verdict))
        names = ", ".join(f"{name} {line.verdict} ({line.value})" for name, line in found.items())
        return replace(best, name="repetition_penalty", value=names, calls=calls)

    async def _penalty(self, name: str, plain: Texts, llm: OpenAIClient) -> Line:
        how = f"p = {STRONG_PENALTY:g} and 1"
        strong = replace(self.apples, repetition_penalty=STRONG_PENALTY)
        line = await self._compare("repetition_penalty", how, strong, self.apples, differ, plain, llm)
        if name in llm.refused_fields or "repetition_penalty" in llm.dead_controls:
            return replace(line, verdict="refused", value="the server refuses it", chance=None)
        return line

    async def _seed(self, warm: Texts) -> Line:
        before = len(self.answers)
        how = f"one seed {_SAME_SEED} times, alone and among others"
        same = replace(self.words, seed=77)
        try:
            alone = [(await self._one(same)).text for _ in range(_SAME_SEED)]
            crowd = asyncio.gather(*(self._one(same) for _ in range(_SAME_SEED)))
            _, together = await asyncio.gather(self._texts(self.words, GROUP), crowd)
        except (_RefusedError, LLMError) as error:
            return Line("seed", "unclear", how, str(error), calls=len(self.answers) - before)
        calls = len(self.answers) - before
        if "seed" in self.llm.refused_fields:
            return Line("seed", "refused", how, "the server refuses it", calls=calls)
        pairs = [a == b for place, a in enumerate(warm) for b in warm[:place]]
        chance = (sum(pairs) / len(pairs)) ** (_SAME_SEED - 1) if pairs else 1.0
        kept = len(set(alone)) == 1
        among = kept and {answer.text for answer in together} == set(alone)
        value = f"equal alone: {'yes' if kept else 'no'}, among others: {'yes' if among else 'no'}"
        verdict: Verdict = "dead" if not kept else "alive" if chance <= ALIVE else "unclear"
        return Line("seed", verdict, how, value, chance, calls)

    async def _json(self) -> Line:
        how = "a schema, not mentioned"
        request = replace(ask.question(ask.COLOUR, ask.JSON_LENGTH, 5), json_schema=ask.COLOUR_SCHEMA)
        try:
            answer = await self._one(request)
        except LLMError as error:
            return Line("json_schema", "unclear", how, str(error), calls=1)
        if "response_format" in self.llm.refused_fields:
            return Line("json_schema", "refused", how, "the server refuses it", calls=1)
        obeyed = _obeys(answer.text)
        return Line("json_schema", "alive" if obeyed else "dead", how, _short(answer.text), calls=1)

    async def _logprobs(self) -> Line:
        how = "those of a reply"
        try:
            answer = await self._one(replace(ask.question(ask.SUM, ask.SHORT, 6), logprobs=True))
        except LLMError as error:
            return Line("logprobs", "unclear", how, str(error), calls=1)
        if "logprobs" in self.llm.refused_fields:
            return Line("logprobs", "refused", how, "the server refuses them", calls=1)
        found = answer.confidence
        if found is None:
            return Line("logprobs", "dead", how, "none came", calls=1)
        return Line("logprobs", "alive", how, f"mean {found.mean:.2f} of {found.tokens} tokens", calls=1)

    async def _several(self) -> Line:
        how = "n = 2"
        try:
            count = await self.llm.count_choices(replace(self.words, seed=8), 2)
        except LLMRequestError as error:
            return Line("n", "refused", how, str(error), calls=1)
        except LLMError as error:
            return Line("n", "unclear", how, str(error), calls=1)
        return Line("n", "alive" if count == 2 else "dead", how, f"{count} choice{'s' if count != 1 else ''}", calls=1)

    def _thinking(self) -> Line:
        tokens = [
            answer.usage.thought_tokens for answer in self.answers if answer.thought or answer.usage.thought_tokens
        ]
        if not tokens:
            return Line("thinking", "no", "all replies", f"no thought in {len(self.answers)} replies")
        value = f"thought in {len(tokens)} of {len(self.answers)} replies, {sum(tokens) / len(tokens):.0f} tokens each"
        return Line("thinking", "alive", "all replies", value)

    def _limits(self, first: Completion) -> Line:
        how = f"at most {ask.CUT} tokens"
        wrote = first.usage.completion_tokens - first.usage.thought_tokens
        value = f"{wrote} tokens, finish reason {first.finish_reason}"
        if first.thought or first.usage.thought_tokens:
            return Line("limits", "unclear", how, f"{value}, after thought")
        return Line("limits", "alive" if ran_out(first.finish_reason) and wrote <= ask.CUT else "dead", how, value)


_ORDER: tuple[Verdict, ...] = ("alive", "unclear", "dead", "refused", "no")


def _chance(test: Callable[[Sequence[str], Sequence[str]], float], one: Texts, two: Texts) -> float | None:
    return test(one, two) if min(len(one), len(two)) >= GROUP - 1 else None


def _verdict(chance: float) -> Verdict:
    return "alive" if chance <= ALIVE else "dead" if chance > DEAD else "unclear"


def _obeys(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(found, dict)
        and found.keys() == ask.COLOUR_SCHEMA["properties"].keys()
        and isinstance(found["colour"], str)
        and isinstance(found["warm"], bool)
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"

"""Measures what embedding costs: milliseconds a text, texts a problem, seconds of a run, and memory.

A stand-in team writes texts as long as those of real models. `large` has the shape of BAAI/bge-large-en-v1.5
with random weights: it takes as long as the real one and needs no download. Each model runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple, get_args

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from econ_env import parallel_env
from econ_env.config import Device, EnvConfig
from econ_env.embedding import Embeddings, HashEmbedder, SentenceEmbedder, make_embedder
from econ_env.llm import ChatRequest
from econ_env.problems import ProblemSet
from econ_env.records import Problem
from econ_env.testing import ScriptedLLM

LARGE = "large"
QUESTION_TOKENS = 56
"""Mean length of GSM8K's questions, as BERT counts tokens."""
PLAN_TOKENS = 50
"""What the coordinator is asked for."""
REPLY_TOKENS = (86, 124, 160, 212, 390)
"""Replies of seven small open models to GSM8K; their mean is 195 tokens, as here."""
COMMITMENT_TOKENS = 100
WORDS = ("the", "of", "each", "has", "more", "how", "many", "are", "in", "cost", "and", "then", "left", "for", "total",
         "so", "we", "add", "get", "sold", "days", "per", "week", "first")  # fmt: skip
"""Each is a token."""
TEXTS_AT_ONCE = 64
"""Texts that are embedded in one call, as when some problems are in flight."""
SOME_PROBLEMS = 4
"""Problems whose texts are embedded."""
RUN_PROBLEMS = 100
"""Problems of the run whose cost is shown."""


class Cost(NamedTuple):
    """What a model costs."""

    name: str
    """Name of the model."""
    dim: int
    """Numbers of an embedding."""
    wall: float
    """Milliseconds a text."""
    cpu: float
    """Milliseconds of processor time a text."""
    load: float
    """Seconds to load it, with its packages."""
    memory: float
    """MiB that the process grew by, at most."""


class Listing(HashEmbedder):
    """Keeps the texts that it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of the hash embedder."""
        self.texts += texts
        return super().encode(texts)


def texts_of(problems: int, rounds: int) -> list[str]:
    """The texts that are embedded while a team of three answers problems in so many rounds each; none twice."""
    questions = [said(random.Random(number), QUESTION_TOKENS) for number in range(problems)]
    known = ProblemSet(tuple(Problem(text, "4", str(n)) for n, text in enumerate(questions)), source="made up")
    listing = Listing()
    env = parallel_env(known, llm=ScriptedLLM(written), embedder=listing, n_agents=3)
    for number in range(problems):
        env.reset(seed=number, options={"problem": number})
        for round_ in range(rounds):
            actions = {agent: np.array([0.5 + 0.3 * round_, 1.1], np.float32) for agent in env.possible_agents}
            env.deliberate(actions)
        env.step(actions)
    return listing.texts


def written(request: ChatRequest) -> str:
    """A text as long as a model would write it, the same for equal requests."""
    defaults, rng = EnvConfig(), random.Random(repr(request))
    if request.max_tokens == defaults.strategy_max_tokens:
        return said(rng, PLAN_TOKENS)
    tokens = rng.choice(REPLY_TOKENS) if request.max_tokens == defaults.reply_max_tokens else COMMITMENT_TOKENS
    return f"{said(rng, tokens)} The answer is {rng.randint(1, 99)}."


def said(rng: random.Random, tokens: int) -> str:
    """So many words."""
    return " ".join(rng.choices(WORDS, k=tokens))


def save_large(folder: Path) -> str:
    """Save a model of bge-large's shape, 1.3 GB; returns its path."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    packaged = make_embedder("minilm")
    assert isinstance(packaged, SentenceEmbedder)
    bert = str(folder / "bert")
    AutoTokenizer.from_pretrained(packaged.source).save_pretrained(bert)  # both models have BERT's vocabulary
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=30_522, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    )
    BertModel(shape).save_pretrained(bert)
    parts = [
        Transformer(bert, max_seq_length=512),
        Pooling(shape.hidden_size, pooling_mode="cls"),
        Normalize(),
    ]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder / LARGE))
    return str(folder / LARGE)


def cost(name: str, source: str, device: Device, texts: Sequence[str], repeats: int) -> Cost:
    """Measure a model in this process, which should be a new one."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    embedder = make_embedder(source, device)
    embedder.encode(texts[:1])
    load = time.perf_counter() - start
    dim = embedder.dim
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        for place in range(0, len(texts), TEXTS_AT_ONCE):
            embedder.encode(texts[place : place + TEXTS_AT_ONCE])
    each = 1e3 / (repeats * len(texts))
    wall, cpu = (time.perf_counter() - wall) * each, (time.process_time() - cpu) * each
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return Cost(name, dim, wall, cpu, load, memory)


def measure(models: Sequence[str], problems: int, device: Device) -> list[Cost]:
    """Measure models one after another on the same texts."""
    texts = texts_of(problems, rounds=3)
    new = multiprocessing.get_context("spawn")
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            source = name
            if name == LARGE:
                with ProcessPoolExecutor(1, mp_context=new) as process:
                    source = process.submit(save_large, Path(folder)).result()
            with ProcessPoolExecutor(1, mp_context=new) as process:
                costs.append(process.submit(cost, name, source, device, texts, 1 if name == LARGE else 5).result())
    return costs


@click.command()
@click.option("--model", "models", multiple=True, default=("minilm", LARGE), show_default=True,
              help="large, or an embedder as --embedder takes it; repeatable.")  # fmt: skip
@click.option("--problems", type=click.IntRange(1), default=SOME_PROBLEMS, show_default=True,
              help="Problems whose texts are embedded.")  # fmt: skip
@click.option("--device", type=click.Choice(get_args(Device)), default="cpu", show_default=True,
              help="Where the models compute.")  # fmt: skip
def main(models: tuple[str, ...], problems: int, device: Device) -> None:
    """Print what each model costs."""
    console = Console()
    counts = {rounds: len(texts_of(problems, rounds)) / problems for rounds in (1, 3)}
    counted = ", ".join(f"{count:g} at K = {rounds}" for rounds, count in counts.items())
    console.print(f"texts a problem, three executors: {counted}", highlight=False)
    table = Table("embedder", "numbers", "ms/text", "cpu ms/text", "load s", "MiB", *(f"K={k} s" for k in counts),
                  caption=f"last columns: embedding for {RUN_PROBLEMS} problems")  # fmt: skip
    for found in measure(models, problems, device):
        runs = [f"{RUN_PROBLEMS * count * found.wall / 1e3:,.0f}" for count in counts.values()]
        cells = (f"{found.wall:.1f}", f"{found.cpu:.1f}", f"{found.load:.1f}", f"{found.memory:,.0f}")
        table.add_row(found.name, str(found.dim), *cells, *runs)
    console.print(table)


if __name__ == "__main__":
    main()

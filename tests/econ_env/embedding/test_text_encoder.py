"""The encoder that all environments of a process share: whoever leaves holds up nobody else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from econ_env.embedding import HashEmbedder, TextEncoder
from econ_env.errors import EmbeddingError


class Held(HashEmbedder):
    def __init__(self):
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def encode(self, texts):
        self.begun.set()
        assert self.go_on.wait(20)
        return super().encode(texts)


def test_a_caller_whose_loop_is_closed_leaves_no_other_waiting():
    embedder = Held()
    encoder = TextEncoder(embedder)

    async def give_up():
        waits = asyncio.ensure_future(encoder.aencode(["text"]))
        await asyncio.sleep(0)
        waits.cancel()

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(asyncio.run, encoder.aencode(["busy"]))
        assert embedder.begun.wait(5)
        asyncio.run(give_up())
        waits = pool.submit(asyncio.run, encoder.aencode(["text"]))
        embedder.go_on.set()
        assert busy.result(5).shape == waits.result(5).shape == (1, 64)


class Counting(HashEmbedder):
    """Counts how often a text is encoded; each call waits until it is told to go on."""

    def __init__(self, fails=False):
        super().__init__()
        self.seen, self.begun, self.go_on, self.fails = [], threading.Event(), threading.Event(), fails

    def encode(self, texts):
        self.begun.set()
        assert self.go_on.wait(20)
        self.seen += texts
        if self.fails:
            raise EmbeddingError("the model is gone")
        return super().encode(texts)


def test_a_text_that_was_begun_ahead_is_encoded_once():
    embedder = Counting()
    encoder = TextEncoder(embedder)
    encoder.ahead("first")
    assert embedder.begun.wait(5)
    for _ in range(2):
        encoder.ahead("first")
        encoder.ahead("second")

    async def wait():
        rows = [asyncio.ensure_future(encoder.aencode(["first", "second"])) for _ in range(2)]
        await asyncio.sleep(0)
        embedder.go_on.set()
        return await asyncio.gather(*rows)

    for rows in asyncio.run(wait()):
        assert np.array_equal(rows, HashEmbedder().encode(["first", "second"]))
    encoder.ahead("first")
    assert embedder.seen == ["first", "second"]


def test_an_error_ahead_is_raised_when_the_text_is_needed():
    embedder = Counting(fails=True)
    embedder.go_on.set()
    encoder = TextEncoder(embedder)
    encoder.ahead("text")
    for _ in range(2):
        with pytest.raises(EmbeddingError, match="the model is gone"):
            asyncio.run(encoder.aencode(["text"]))
    embedder.fails = False
    assert asyncio.run(encoder.aencode(["text"])).shape == (1, 64)


def test_the_hash_embedder_does_nothing_ahead():
    encoder = TextEncoder(HashEmbedder())
    encoder.ahead("text")
    assert encoder._waiting == encoder._computed == {}

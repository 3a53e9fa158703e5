"""Turns texts into unit vectors: sentence-transformers models behind a shared cache, and a hash embedder for tests."""

from econ_env.embedding.hashed import HashEmbedder
from econ_env.embedding.make import make_embedder
from econ_env.embedding.protocol import Embedder, Embeddings
from econ_env.embedding.sentence import SentenceEmbedder
from econ_env.embedding.text_encoder import TextEncoder, shared_encoder

__all__ = [
    "Embedder",
    "Embeddings",
    "HashEmbedder",
    "SentenceEmbedder",
    "TextEncoder",
    "make_embedder",
    "shared_encoder",
]

"""Whether the hub answers, and that nothing waits for one that does not."""

import socket
import time

import pytest

from econ_env import hub
from econ_env.embedding import SentenceEmbedder, sentence
from econ_env.errors import EmbeddingError
from econ_env.testing import FaultyServer


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_any_response_counts():
    with FaultyServer() as server:
        assert hub.answers(server.url, 5.0)
        assert hub.answers(f"{server.url}/nothing", 5.0)


def test_nothing_there_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not hub.answers(f"http://127.0.0.1:{port}", 5.0)
    assert not hub.answers("no address", 5.0)


def test_a_silent_server_is_waited_for_only_so_long(silent):
    start = time.monotonic()
    assert not hub.answers(silent, 0.2)
    assert time.monotonic() - start < 5.0


def test_a_hub_embedder_without_a_hub_is_refused_at_once(silent, monkeypatch):
    monkeypatch.setattr(sentence, "hub_answers", lambda seconds: hub.answers(silent, 0.1))
    embedder = SentenceEmbedder("nobody/no-such-model")
    with pytest.raises(EmbeddingError, match="the hub can't be reached, and its cache has no such model") as caught:
        embedder.encode(["text"])
    assert "\n" not in str(caught.value)

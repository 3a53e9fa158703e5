"""Servers on the loopback address, and settings that never wait for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from econ_env.config import LLMConfig
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.make import make_llm
from econ_env.llm.protocol import ChatRequest, Message
from econ_env.testing.faulty_server import FaultyServer


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "TOGETHER_API_KEY", "OPENAI_BASE_URL", "TOGETHER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., FaultyServer]]:
    """Starts servers and stops them after the test."""
    with ExitStack() as servers:
        yield lambda *arguments, **changes: servers.enter_context(FaultyServer(*arguments, **changes))


@pytest.fixture
def settings(tmp_path) -> Callable[..., LLMConfig]:
    """Settings with short waits; the test's own folder makes account, limits and cache its own."""
    base = {"timeout": 5.0, "max_retries": 4, "retry_wait": 0.001, "retry_wait_max": 0.005, "retry_after_max": 0.02}
    folder = str(tmp_path / "cache")
    return lambda **changes: LLMConfig(**{**base, "cache": False, "cache_dir": folder, **changes})


@pytest.fixture
def client(settings) -> Callable[..., OpenAIClient]:
    """A client of a server; further arguments are settings."""

    def make(server: FaultyServer | str, model: str | None = None, **changes) -> OpenAIClient:
        llm = make_llm(server if isinstance(server, str) else server.url, settings(**changes), model=model)
        assert isinstance(llm, OpenAIClient)
        return llm

    return make


@pytest.fixture
def request_() -> Callable[..., ChatRequest]:
    """A request for text; arguments change its fields."""
    given = {
        "messages": (Message("system", "Solve it."), Message("user", "What is 2 + 2?")),
        "model": "",
        "temperature": 0.7,
        "repetition_penalty": 1.1,
        "top_p": 0.9,
        "max_tokens": 64,
        "seed": 11,
        "role": "executor",
        "agent": "executor_0",
        "problem_id": "p",
    }
    return lambda **changes: ChatRequest(**{**given, **changes})


@pytest.fixture
def heads() -> list[bytes]:
    """Request lines and headers that the servers of `say` and `answer` were sent."""
    return []


@pytest.fixture
def say(heads) -> Iterator[Callable[..., str]]:
    """Starts a server that sends the same bytes to everybody, whatever it is asked; gives its base URL."""
    listeners = []

    def start(*chunks: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_repeat, args=(listener, b"".join(chunks), heads), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    yield start
    for listener in listeners:
        listener.close()


def _repeat(listener: socket.socket, said: bytes, heads: list[bytes]) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        with peer:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(65536)
            heads.append(head.partition(b"\r\n\r\n")[0])
            peer.sendall(said)


@pytest.fixture
def answer(say) -> Callable[..., str]:
    """Starts a server with one fixed response."""

    def start(status: int, body: str = "", headers: str = "") -> str:
        raw = body.encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n"
        return say(head.encode(), raw)

    return start

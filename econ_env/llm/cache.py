"""Stores completions on disk, so that equal requests are sent and paid for only once.

Values are JSON text in one SQLite file (diskcache without its pickles: no code is ever loaded from the cache). Several
processes may share a folder. A damaged entry is deleted and a damaged folder is renamed; if the disk is full, calls go
on without the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import diskcache
from platformdirs import user_cache_path

from econ_env.config import LLMConfig
from econ_env.extra import NOTHING_EXTRA, Extra
from econ_env.llm.protocol import CONTROLS_VERSION, ChatRequest, Completion
from econ_env.records import Confidence, Usage

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FORMAT = 1
_BUSY_SECONDS = 10.0
_TROUBLE = (OSError, sqlite3.Error, diskcache.Timeout)


def request_key(
    server: str, model: str, request: ChatRequest, thinking: int | None = None, extra: Extra = NOTHING_EXTRA
) -> str:
    """The cache key of a request: equal for two requests exactly if an answer to one also answers the other.

    Args:
        server: The server's identity, without credentials.
        model: The model's name, never empty.
        request: Everything in it counts except its labels.
        thinking: The setting `llm.thinking_tokens`.
        extra: Fields and headers that are added; values from the environment do not count.

    Returns:
        64 hexadecimal digits.
    """
    parts = {
        "format": _FORMAT,
        "controls": CONTROLS_VERSION,
        "server": server,
        "model": model,
        "messages": [[message.role, message.content] for message in request.messages],
        "temperature": float(request.temperature),
        "repetition_penalty": float(request.repetition_penalty),
        "top_p": float(request.top_p),
        "min_p": float(request.min_p),
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "sample_index": request.sample_index,
        "json_schema": None if request.json_schema is None else dict(request.json_schema),
        "require_json": request.require_json,
    }
    if request.logprobs:
        parts["logprobs"] = True
    if thinking is not None:
        parts["thinking_tokens"] = thinking
    if (added := extra.key()) is not None:
        parts["extra"] = added
    return digest(parts)


def digest(parts: Any) -> str:
    """A key for plain values: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


class CompletionCache:
    """Completions on disk, by request key.

    Args:
        directory: Folder of the cache; by default in the user's cache folder. Created at first use.
        size_limit: Maximum size in bytes; above it, the least recently used completions are deleted.
    """

    def __init__(self, directory: str | Path | None, size_limit: int) -> None:
        self.directory = user_cache_path("econ-env") / "completions" if directory is None else Path(directory)
        self._size_limit = size_limit
        self._disk: Any = None
        self._broken = False
        self._moved = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="econ-env-cache")

    async def get(self, key: str) -> Completion | None:
        """The completion for a key, marked as a cache hit; `None` if there is none or it can't be read."""
        text = await self._do(lambda disk: disk.get(key))
        if text is None:
            return None
        try:
            return _from_json(text)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("deleting a damaged entry of the cache in %s: %s", self.directory, error)
            await self._do(lambda disk: disk.delete(key))
            return None

    async def put(self, key: str, completion: Completion) -> None:
        """Store a completion."""
        text = _to_json(completion)
        await self._do(lambda disk: disk.set(key, text))

    async def get_note(self, key: str) -> str | None:
        """A text that is not a completion; `None` if there is none or it can't be read."""
        found = await self._do(lambda disk: disk.get(key))
        return found if isinstance(found, str) else None

    async def put_note(self, key: str, text: str) -> None:
        """Store a text that is not a completion."""
        await self._do(lambda disk: disk.set(key, text))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._thread.shutdown(wait=True)
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    async def _do(self, work: Callable[[Any], T]) -> T | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    def _work(self, work: Callable[[Any], T]) -> T | None:
        """Use the open file. A damaged folder is renamed once, a busy one skipped; other errors end the caching."""
        if self._broken:
            return None
        try:
            return work(self._open())
        except diskcache.Timeout:
            logger.warning("the cache in %s was busy for %g s; this call goes without", self.directory, _BUSY_SECONDS)
            return None
        except _TROUBLE as error:
            if not self._moved and _is_damage(error) and self._set_aside(error):
                self._moved = True
                return self._work(work)
            self._broken = True
            logger.warning("going on without the cache in %s: %s", self.directory, error)
            return None

    def _open(self) -> Any:
        if self._disk is None:
            self._disk = diskcache.Cache(
                str(self.directory),
                timeout=_BUSY_SECONDS,
                disk=_TextDisk,
                disk_min_file_size=2**30,  # keep every value inside the SQLite file
                size_limit=self._size_limit,
                eviction_policy="least-recently-used",
            )
        return self._disk

    def _set_aside(self, error: Exception) -> bool:
        """Rename a damaged folder, so that a new one can be created."""
        self._disk = None
        aside = self.directory.with_name(f"{self.directory.name}.damaged-{time.time_ns()}")
        try:
            self.directory.rename(aside)
        except OSError:
            return False
        logger.warning("the cache in %s is damaged (%s); it was moved to %s", self.directory, error, aside)
        return True


class _TextDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Stores and reads only text, so nothing is ever unpickled."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"a key must be text, got {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        return str(key)

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:
        if not isinstance(value, str):
            raise TypeError(f"a value must be text, got {type(value).__name__}")
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: int, filename: Any, value: Any, read: bool) -> Any:
        return value if mode == diskcache.core.MODE_RAW else ""


def _is_damage(error: Exception) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and any(
        sign in str(error)
        for sign in ("not a database", "malformed", "disk I/O error", "no such table", "no such column")
    )


def _to_json(completion: Completion) -> str:
    row = asdict(completion)
    if completion.confidence is None:
        del row["confidence"]
    return json.dumps({"format": _FORMAT, **row}, ensure_ascii=False)


def _from_json(text: Any) -> Completion:
    if not isinstance(text, str):
        raise TypeError(f"text expected, got {type(text).__name__}")
    row = json.loads(text)
    if not isinstance(row, dict) or row.pop("format", None) != _FORMAT:
        raise ValueError("not a completion of this format")
    if not all(isinstance(row[name], str) and row[name] for name in ("text", "finish_reason", "model")):
        raise ValueError("a text is missing")
    usage = Usage(**row.pop("usage"))
    if not all(isinstance(count, int) and count >= 0 for count in asdict(usage).values()):
        raise ValueError("a token count is not a whole number >= 0")
    given = row.pop("confidence", None)
    confidence = None if given is None else Confidence(**given)
    if confidence is not None and not (confidence.lowest <= confidence.mean <= 0 < confidence.tokens):
        raise ValueError("a confidence is not lowest <= mean <= 0")
    return Completion(**row, usage=replace(usage, calls=1, cache_hits=1, retries=0), confidence=confidence)


_caches: dict[tuple[int, str | None, int], CompletionCache] = {}


def shared_cache(config: LLMConfig) -> CompletionCache:
    """This process's cache for the folder and size in the settings."""
    key = (os.getpid(), config.cache_dir, config.cache_size)
    if key not in _caches:
        _caches[key] = CompletionCache(config.cache_dir, config.cache_size)
    return _caches[key]

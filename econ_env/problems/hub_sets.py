"""Opens a data set on the Hugging Face hub, or its cached copy where the hub does not answer."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from econ_env.errors import ProblemSourceError, ProblemUnreachableError
from econ_env.hub import answers

HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub before its cached copies are used instead."""


def open_hub(
    hub_id: str, config: str | None, revision: str | None, streaming: bool
) -> Mapping[str, Iterable[Mapping[str, Any]]]:
    """All splits of a set on the hub; from the cache if the hub does not answer."""
    import datasets

    with quiet():
        online = not datasets.config.HF_HUB_OFFLINE and answers(datasets.config.HF_ENDPOINT, HUB_TIMEOUT)
        try:
            with _offline(not online):
                tables: Mapping[str, Any] = datasets.load_dataset(
                    hub_id, config, revision=revision, streaming=streaming and online
                )
        except datasets.exceptions.DatasetNotFoundError as error:
            raise ProblemSourceError(
                f"the hub has no data set {hub_id!r} (revision {revision or 'main'}) that you may read; check the "
                "name, log in with `hf auth login`, or give a path to a local file"
            ) from error
        except ConnectionError as error:
            raise ProblemUnreachableError(
                f"the hub can't be reached for {hub_id!r} and no copy of it is cached; check the network, or give a "
                "path to a local .jsonl, .json, .csv or .parquet file, or use 'bundled'"
            ) from error
        except Exception as error:  # the library may raise anything; the message names the set
            hint = f"; name a configuration as {hub_id}:NAME" if "config" in str(error).lower() else ""
            raise ProblemSourceError(f"{hub_id} could not be loaded: {one_line(error)}{hint}") from error
    if not online and revision is not None:
        _same_revision(tables, revision, hub_id)
    return tables


def _same_revision(tables: Mapping[str, Any], revision: str, hub_id: str) -> None:
    """Refuse a cached copy of another commit; the library would use it without warning."""
    for table in tables.values():
        cached = Path(table.cache_files[0]["filename"]).parent.name
        if cached != revision:
            raise ProblemSourceError(
                f"the hub can't be reached for {hub_id!r}, and the cached copy is of revision {cached}, not of "
                f"{revision}; to use it say revision={cached!r}"
            )


_settings = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and log lines of `datasets` and `huggingface_hub`; our errors say what went wrong."""
    if "datasets" not in sys.modules:
        yield  # nothing to silence
        return
    import datasets
    from huggingface_hub.utils import logging as hub_logging

    with _settings:
        bars = datasets.is_progress_bar_enabled()
        levels = datasets.logging.get_verbosity(), hub_logging.get_verbosity()
        datasets.disable_progress_bars()
        datasets.logging.set_verbosity(logging.CRITICAL)
        hub_logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            if bars:
                datasets.enable_progress_bars()
            datasets.logging.set_verbosity(levels[0])
            hub_logging.set_verbosity(levels[1])


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def one_line(error: BaseException) -> str:
    """What an error of a library says, in one line of at most 300 characters."""
    text = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."

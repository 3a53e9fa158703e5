"""Keeps two runs out of one folder, with a lock that the system releases when its process ends, however it ends."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from econ_env.errors import ConfigError

logger = logging.getLogger(__name__)

LOCK_FILE, HOLDER_FILE = ".run.lock", ".run.json"


class FolderLocks:
    """Locks on the folders that a run writes into; `release` gives them back.

    Args:
        folders: The folders by the option that names each; they are made if needed.

    Raises:
        ConfigError: Another run holds one; the message names its process.
    """

    def __init__(self, folders: Iterable[tuple[str, Path]]) -> None:
        with ExitStack() as stack:
            for option, folder in folders:
                self._acquire(stack, option, folder)
            self._held = stack.pop_all()

    def release(self) -> None:
        """Give the folders back; may be called twice."""
        self._held.close()

    def _acquire(self, stack: ExitStack, option: str, folder: Path) -> None:
        holder = folder / HOLDER_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / LOCK_FILE, blocking=False))
        except Timeout:
            raise ConfigError(
                f"{folder} is in use by {_named(holder)}; wait until that run ends, stop it, or choose another {option}"
            ) from None
        except (OSError, NotImplementedError) as error:
            logger.warning("%s can't be locked (%s): do not start another run in it", folder, error)
            return
        about = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": _command(sys.argv),
        }
        holder.write_text(json.dumps(about))
        stack.callback(holder.unlink, missing_ok=True)


def _command(arguments: Sequence[str]) -> str:
    """The program and its subcommand, without options: a URL among them may hold a login."""
    program, *rest = arguments
    subcommand = rest[0] if rest and rest[0].isidentifier() else ""
    return " ".join(filter(None, (Path(program).name, subcommand)))


def _named(holder: Path) -> str:
    try:
        found = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {found['process']} on {found['host']} since {found['since']} ({found['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"

"""Reads and writes append-only files of JSON lines: each round when it ends, each result when it is known.

A line is written in one call and flushed, so a killed process loses at most the line being written. A torn last line is
dropped on reading, and cut off before appending continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from econ_env.errors import TraceError


class JsonLines:
    """An append-only file of JSON objects, one per line. Safe for threads of one process.

    Args:
        path: The file; its folder is made if needed. A torn last line from an interrupted run is removed.

    Raises:
        TraceError: The file can't be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(self.path)
            self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise _trace_error(self.path, error) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row and flush it.

        Raises:
            TraceError: It could not be written, for example on a full disk; earlier rows are kept.
        """
        line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
        with self._lock:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise _trace_error(self.path, error) from error

    def close(self) -> None:
        """Close the file; may be called twice."""
        try:
            self._file.close()
        except OSError as error:
            raise _trace_error(self.path, error) from error

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_shared: dict[tuple[int, Path], JsonLines] = {}
_shared_lock = threading.Lock()


def shared_lines(path: str | Path) -> JsonLines:
    """Return this process's open file for a path; all writers share it.

    Raises:
        TraceError: It can't be opened.
    """
    key = os.getpid(), Path(path).absolute()
    with _shared_lock:
        if key not in _shared or not key[1].exists():
            _shared[key] = JsonLines(path)
        return _shared[key]


def read_lines(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, without a torn last line; none if the file does not exist.

    Raises:
        TraceError: The file can't be read, or a complete line is not a JSON object.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield _parse(line, Path(path), number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _trace_error(Path(path), error) from error


class NewLines:
    """Reads a growing file: each iteration gives the rows appended since the previous one.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._read = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._read += len(line)
                    yield _parse(line, self._path, None)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _trace_error(self._path, error) from error


def read_json(path: str | Path, advice: str) -> dict[str, Any] | None:
    """The object in a JSON file; `None` if the file does not exist.

    Args:
        path: The file.
        advice: What to do if it can't be read; the last part of the error message.

    Raises:
        TraceError: It can't be read, or is not a JSON object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TraceError(f"{path} can't be read ({error}); {advice}") from error
    if not isinstance(value, dict):
        raise TraceError(f"{path} is not a JSON object; {advice}")
    return value


def write_json(path: str | Path, value: Any) -> None:
    """Replace a JSON file in one step: the file is always the old one or the whole new one.

    Raises:
        TraceError: It could not be written; the old file is untouched.
    """
    _write_whole(Path(path), [json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"])


def write_json_list(path: str | Path, values: Iterable[Any]) -> None:
    """Write a list as `write_json` does, value by value; the values need not be in memory together.

    Raises:
        TraceError: It could not be written; the old file is untouched.
    """

    def parts() -> Iterator[str]:
        before = "[\n "
        for value in values:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
            yield before + text.replace("\n", "\n ")
            before = ",\n "
        yield "[]\n" if before.startswith("[") else "\n]\n"

    _write_whole(Path(path), parts())


def write_lines(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file of JSON lines in one step, as `write_json` does.

    Raises:
        TraceError: It could not be written; the old file is untouched.
    """
    _write_whole(Path(path), (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def _write_whole(target: Path, parts: Iterable[str]) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "w", encoding="utf-8") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError):
            raise _trace_error(target, error) from error
        raise


def _cut_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        while size > 0:
            step = min(4096, size)
            size -= step
            file.seek(size)
            newline = file.read(step).rfind(b"\n")
            if newline >= 0:
                file.truncate(size + newline + 1)
                return
        file.truncate(0)


def _parse(line: bytes, path: Path, number: int | None) -> dict[str, Any]:
    where = f"{path} line {number}" if number is not None else f"a line of {path}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TraceError(f"{where} is not JSON; remove the line, or start a new --log-dir") from error
    if not isinstance(row, dict):
        raise TraceError(f"{where} is not a JSON object; remove the line, or start a new --log-dir")
    return row


def _trace_error(path: Path, error: OSError) -> TraceError:
    reason = error.strerror or str(error)
    return TraceError(f"{path} can't be written or read: {reason}; earlier lines are kept")

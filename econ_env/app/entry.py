"""Runs a command: an error becomes one line and an exit code, and Ctrl-C keeps the finished work."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import warnings

import click

from econ_agents.errors import AgentsError
from econ_env.errors import ConfigError, EconError, NothingJudgedError

EXIT_NO_RESULT = 1


EXIT_BAD_INPUT = 2


EXIT_INTERRUPTED = 130


def need(extra: str, *packages: str) -> None:
    """Check before any work that the packages of an extra are installed.

    Raises:
        ConfigError: One is missing; the message says what to install.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"this command needs {' and '.join(missing)}: pip install 'econ-bne[{extra}]'")


class InterruptedRun(click.ClickException):
    """Ctrl-C in a run that can be resumed; click would drop the text of a `KeyboardInterrupt`."""


def main(command: click.Command) -> None:
    """Run a command; an error prints one line and exits with 2, a run without any result with 1, Ctrl-C with 130."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch loads: busy waiting slows down other processes
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for module:attribute in the current folder; the command's own folder comes first
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("econ_env").setLevel(logging.INFO)
    logging.getLogger("tianshou").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="tianshou", message=".*env_num")  # a last update may have fewer episodes
    try:
        command.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except InterruptedRun as stop:
        _fail(stop.message, EXIT_INTERRUPTED)
    except click.ClickException as error:
        _fail(error.format_message(), EXIT_BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", EXIT_INTERRUPTED)
    except NothingJudgedError as error:
        _fail(str(error), EXIT_NO_RESULT)
    except (EconError, AgentsError) as error:
        _fail(str(error), EXIT_BAD_INPUT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; what was done is kept", EXIT_BAD_INPUT)


def _fail(text: str, code: int) -> None:
    if code == EXIT_INTERRUPTED:  # it may have come between making a coroutine and awaiting it, which is no mistake
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
    click.echo(f"error: {' '.join(text.split())}", err=True)
    sys.exit(code)

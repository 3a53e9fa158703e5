"""Asks the executors' servers at the start of a training which controls have an effect, and warns of dead ones."""

from __future__ import annotations

from collections.abc import Sequence

from econ_env.app.runs import display
from econ_env.config import SamplingConfig
from econ_env.errors import BudgetError, LLMError, LLMLimitedError
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.llm.probe import Line, Probed, remembered_probe
from econ_env.llm.protocol import LLM


def warn_of_dead_controls(models: Sequence[LLM], sampling: SamplingConfig) -> list[Probed]:
    """Ask each server once which of the learned controls have an effect, and warn of those that have none.

    Nothing is asked of models that are not servers, and a server that does not answer such questions is left alone: it
    may answer others.

    Args:
        models: The executors' models.
        sampling: Which controls there are, and their bounds.

    Returns:
        What was found.

    Raises:
        BudgetError: The budget is spent.
        LLMLimitedError: A server asks to wait for long.
    """
    found: list[Probed] = []
    if not sampling.sampled:
        return found
    servers = {llm.server: llm for llm in models if isinstance(llm, OpenAIClient) and llm.server.engine is None}
    for llm in servers.values():
        try:
            with display.console.status("asking which controls have an effect"):
                found.append(background.run(remembered_probe(llm, sampling)))
        except (BudgetError, LLMLimitedError):
            raise
        except LLMError as error:
            display.console.print(f"probe    no verdict: {error}", highlight=False, markup=False)
    for one in found:
        for line in one.lines:
            if line.verdict in ("dead", "refused"):
                _warn(one, line)
    return found


def _warn(found: Probed, line: Line) -> None:
    what = "HAS NO EFFECT on" if line.verdict == "dead" else "IS REFUSED for"
    text = (
        f"{line.name.replace('_', ' ').upper()} {what} {found.model} at {found.where} ({line.how}: {line.value}): "
        "learning it learns nothing; econ probe shows more, llm.probe: off asks nothing"
    )
    display.console.print(text, style="bold red", highlight=False, markup=False)

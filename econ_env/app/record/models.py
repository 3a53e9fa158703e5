"""Makes the models of a recording: each once, reached and named."""

from __future__ import annotations

from econ_env.app.run_config import RunConfig, make_env
from econ_env.app.runs.team_facts import reach_servers
from econ_env.errors import ConfigError
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.problems.load import ProblemSet
from econ_env.team.rounds import Team


def suited(config: RunConfig) -> RunConfig:
    """The settings with one executor for each model."""
    given = config.executor_model if isinstance(config.executor_model, list) else [config.executor_model]
    names = list(dict.fromkeys(given))
    changes = {"executor_model": names if len(names) > 1 else names[0], "n_agents": len(names)}
    return config.model_copy(update=changes | {"coordinator_model": names[0]})


def named_team(config: RunConfig, problems: ProblemSet) -> Team:
    """The team, whose servers answer and whose models have names.

    Raises:
        ConfigError: Two models have the same name.
        EconError: A model is unavailable.
    """
    team = make_env(config, problems).team
    reach_servers(team)
    for llm in team.executors:
        if isinstance(llm, OpenAIClient):
            background.run(llm.model_name())
    names = [llm.info.model for llm in team.executors]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two of the models are called {twice}; record each into a bank of its own")
    return team

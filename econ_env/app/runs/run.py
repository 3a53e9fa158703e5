"""A run while it is open: its folder, what its calls cost, how long its parts take, and the summary at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_env.app.options import CommonOptions
from econ_env.app.runs import display
from econ_env.app.runs.display import Counts, count_servers
from econ_env.app.runs.folder import RunFolder, files_of_run
from econ_env.app.runs.team_facts import reach_servers, reach_team
from econ_env.env import EconParallelEnv
from econ_env.llm.meter import shared_meter


def validate(
    common: CommonOptions, env: EconParallelEnv, policy: EconPolicy | None = None, *, embeds: bool = True
) -> dict[str, Any]:
    """Load models and policy and see that they fit, before the files of an earlier run are moved.

    Args:
        common: Settings and folders.
        env: Has the team.
        policy: Chooses its controls, if there is one already.
        embeds: Whether texts will be embedded.

    Returns:
        What `summary.json` says of the models; see `reach_team`.

    Raises:
        EconError: Models or embedder are unavailable.
        TeamError: The policy was made for another team.
    """
    models = reach_team(env, embeds=embeds)
    if policy is not None:
        policy.fits(TeamSpec.of(env))
    if files_of_run(common.log_dir) and not common.resume:
        reach_servers(env.team)
    return models


class OpenRun:
    """Opens the folder and the account of a run; `close` writes the summary.

    Args:
        common: Settings and folders.
        about: What the run is: settings, versions, problems; kept in `run.json` and `summary.json`.

    Attributes:
        folder: Gets rows and traces.
        meter: Counts what calls cost.

    Raises:
        ConfigError: The run to go on with had other settings.
        TraceError: The folder can't be read or written.
    """

    def __init__(self, common: CommonOptions, about: Mapping[str, Any]) -> None:
        self.about = about
        self.folder = RunFolder(common.log_dir, about, resume=common.resume)
        if self.folder.moved_to is not None:
            display.console.print(f"the earlier run in {self.folder.path} was moved to {self.folder.moved_to}")
        self.meter = shared_meter(common.config.llm)
        self.meter.reset()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Count the time inside this context as time of a part of the run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] = time.perf_counter() - start

    def method_seconds(self, key: str) -> float:
        """Wall time of a method, in the interrupted parts of the run too."""
        earlier: float = self.folder.earlier.get("methods", {}).get(key, {}).get("wall_seconds", 0.0)
        return self._seconds.get(key, 0.0) + earlier

    def training_seconds(self) -> float:
        """Wall time of training, in the interrupted parts of the run too."""
        earlier: float = self.folder.earlier.get("train", {}).get("seconds", 0.0)
        return self._seconds.get("train", 0.0) + earlier

    def close(self, found: Mapping[str, Any], *, complete: bool) -> Counts:
        """Write `summary.json`, close the files, and return what each server answered.

        Args:
            found: Results, beside what the run is.
            complete: Whether everything that was asked for is done.
        """
        servers = count_servers(self.meter.snapshot().by_server, self.folder.earlier.get("servers", {}))
        self.folder.write_summary({"complete": complete, "servers": servers, **found, **self.about})
        self.folder.close()
        return servers

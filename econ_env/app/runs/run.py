"""Opens and closes a run: its folder, the cost of its calls, the time of its parts, and its summary."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from econ_agents.device import find_device
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_env.app.options import CommonOptions
from econ_env.app.runs import display
from econ_env.app.runs.display import Counts, count_servers
from econ_env.app.runs.folder import RunFolder, files_of_run
from econ_env.app.runs.lock import FolderLocks
from econ_env.app.runs.team_facts import reach_servers, reach_team
from econ_env.env import EconParallelEnv
from econ_env.llm.meter import shared_meter


def validate(
    common: CommonOptions,
    env: EconParallelEnv,
    policy: EconPolicy | None = None,
    *,
    embeds: bool = True,
    learns: bool = True,
) -> dict[str, Any]:
    """Load the models and check that the policy fits, before the files of an earlier run are moved.

    Args:
        common: Settings and folders.
        env: The environment that has the team.
        policy: Chooses the controls; `None` if there is none yet.
        embeds: Whether texts will be embedded.
        learns: Whether a policy will choose controls.

    Returns:
        Facts about the models for `summary.json`; see `reach_team`.

    Raises:
        EconError: Models or embedder are unavailable.
        TeamError: The policy was made for another team.
    """
    learner = find_device(common.config.device).type if learns else None
    models = reach_team(env, embeds=embeds, learner=learner)
    if policy is not None:
        policy.fits(TeamSpec.of(env))
    moves, trains = files_of_run(common.log_dir) and not common.resume, learns and policy is None
    if moves:
        reach_servers(env.team)
    if embeds and (moves or not trains):
        # Training loads the model while its first call waits. In a test that would count as time of the first method.
        env.encoder.encode([""])
    return models


class OpenRun:
    """Opens the folder and the account of a run; `close` writes the summary.

    Args:
        common: Settings and folders.
        about: Description of the run (settings, versions, problems) for `run.json` and `summary.json`.
        trains: Whether the run writes checkpoints into the model folder.

    Attributes:
        folder: Folder for rows and traces.
        meter: Counts the cost of calls.

    Raises:
        ConfigError: Another run writes into a folder of this one, or the run to resume had other settings.
        TraceError: The folder can't be read or written.
    """

    def __init__(self, common: CommonOptions, about: Mapping[str, Any], *, trains: bool = False) -> None:
        self.about = about
        models = [("--model-dir", common.model_dir)] if trains and common.model_dir != common.log_dir else []
        self._locks = FolderLocks([("--log-dir", common.log_dir), *models])
        try:
            self.folder = RunFolder(common.log_dir, about, resume=common.resume)
        except BaseException:
            self._locks.release()
            raise
        if self.folder.moved_to is not None:
            display.console.print(f"the earlier run in {self.folder.path} was moved to {self.folder.moved_to}")
        self.meter = shared_meter(common.config.llm)
        self.meter.reset()
        self._seconds: dict[str, float] = {}
        # All that is loaded by now stays to the end: the garbage collector need not look at it again and again, which
        # takes a seventh of the processor time of a run otherwise.
        gc.collect()
        gc.freeze()

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Measure the time inside this context as the time of a part of the run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] = time.perf_counter() - start

    def method_seconds(self, key: str) -> float:
        """Wall time of a method, also in earlier, interrupted parts of the run."""
        earlier: float = self.folder.earlier.get("methods", {}).get(key, {}).get("wall_seconds", 0.0)
        return self._seconds.get(key, 0.0) + earlier

    def training_seconds(self) -> float:
        """Wall time of training, also in earlier, interrupted parts of the run."""
        earlier: float = self.folder.earlier.get("train", {}).get("seconds", 0.0)
        return self._seconds.get("train", 0.0) + earlier

    def close(self, found: Mapping[str, Any], *, complete: bool) -> Counts:
        """Write `summary.json`, close the files, and return the counts of each server.

        Args:
            found: Results, written next to the description of the run.
            complete: Whether all requested work is done.
        """
        counted = self.meter.snapshot()
        servers = count_servers(counted.by_server, self.folder.earlier.get("servers", {}))
        refused = [
            {"server": server, "model": model, "fields": list(what.fields), "dead_controls": list(what.dead)}
            for (server, model), what in counted.left_out.items()
        ]
        display.print_dead_controls(counted.left_out)
        self.folder.write_summary({"complete": complete, "servers": servers, "refused": refused, **found, **self.about})
        self.folder.close()
        self._locks.release()
        return servers

"""Finds the Ray cluster that workers are to run on, or starts one on this machine."""

from __future__ import annotations

import logging
import os
import socket

from econ_agents.errors import WorkerError

MOST_BY_DEFAULT = 8
"""Workers that are started at most if their number is not given."""
PROBE_SECONDS = 5.0
"""Seconds in which a cluster must accept a connection."""
STORE_BYTES = 100 * 2**20
"""Memory for shared objects of a Ray that is started here; only weights and problems are put there."""


def find_ray(count: int | None, address: str | None) -> tuple[int, bool]:
    """Have a Ray; how many workers it is to run, and whether it was started here.

    Args:
        count: As for `Workers`.
        address: As for `Workers`.

    Raises:
        WorkerError: Ray is not installed, or the cluster can't be reached or has too few processors.
    """
    try:
        import ray
    except ImportError:
        raise WorkerError(
            "Ray is not installed, which spreads a run over processes: pip install 'econ-bne[ray]'"
        ) from None
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own = address == "local" and not ray.is_initialized()
    if own:
        wanted = count or _by_default(os.cpu_count() or 1)
        start_ray(wanted)
        return wanted, True
    if not ray.is_initialized():
        try:
            _probe(address)
            ray.init(address, configure_logging=False, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkerError(
                f"no Ray cluster at {address}: {_first_line(error)}; start one with: ray start --head"
            ) from error
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    processors = int(resources.get("CPU", 0))
    wanted = count or _by_default(processors)
    if processors < wanted:
        raise WorkerError(f"the cluster has {processors} processors, too few for {wanted} workers")
    return wanted, False


def start_ray(processors: int) -> None:
    """Start a Ray on this machine, on its loopback address only, which ends with this process.

    Args:
        processors: How many it hands out, whatever there is.

    Raises:
        WorkerError: It can't be started.
    """
    import ray
    from ray._private import ray_constants

    elsewhere, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False  # as it is on macOS
    logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that it asks for a token
    try:
        ray.init(
            "local",
            num_cpus=processors,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WorkerError(f"Ray can't be started: {_first_line(error)}") from error
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = elsewhere


def _probe(address: str) -> None:
    """Make sure that somebody listens at an address, for which Ray would wait for minutes.

    Raises:
        OSError: Nobody does, or `auto` finds no cluster.
        ValueError: It is no address.
    """
    from ray._private import services

    if address == "auto":  # which may find one that has died
        address = services.canonicalize_bootstrap_address(address) or address
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()


def _by_default(processors: int) -> int:
    return max(1, min(processors - 1, MOST_BY_DEFAULT))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

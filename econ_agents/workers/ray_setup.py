"""Connects to the Ray cluster for the workers, or starts one on this machine."""

from __future__ import annotations

import logging
import os
import socket

from econ_agents.errors import WorkerError

MOST_BY_DEFAULT = 8
"""Largest number of workers that are started if none is given."""
PROBE_SECONDS = 5.0
"""Seconds within which a cluster must accept a connection."""
STORE_BYTES = 100 * 2**20
"""Bytes for shared objects of a Ray cluster started here; only weights and problems are stored."""


def find_ray(count: int | None, address: str | None) -> tuple[int, bool]:
    """Connect to Ray or start it; return the number of workers, and whether Ray was started here.

    Args:
        count: As for `Workers`.
        address: As for `Workers`.

    Raises:
        WorkerError: Ray is not installed, or the cluster can't be reached or has too few processors.
    """
    try:
        import ray
    except ImportError:
        raise WorkerError("Ray is not installed, but workers need it: pip install 'econ-bne[ray]'") from None
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
        raise WorkerError(f"the cluster has {processors} processors, too few for {wanted} workers; use fewer")
    return wanted, False


def start_ray(processors: int) -> None:
    """Start a Ray cluster on this machine's loopback address only; it ends with this process.

    Args:
        processors: Number of processors it offers, whatever the machine has.

    Raises:
        WorkerError: It can't be started.
    """
    import ray
    from ray._private import ray_constants

    elsewhere, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False  # as on macOS
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
    """Check that a server listens at an address; Ray itself would wait for minutes.

    Raises:
        OSError: No server listens, or `auto` finds no cluster.
        ValueError: It is not an address.
    """
    from ray._private import services

    if address == "auto":  # this may find a cluster that has died
        address = services.canonicalize_bootstrap_address(address) or address
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()


def _by_default(processors: int) -> int:
    return max(1, min(processors - 1, MOST_BY_DEFAULT))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

"""Dask distributed, loaded late, and how harness sets it: a job runs once, where its board is, and nothing is moved."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from harness.errors import HostError
from harness.farm.addresses import Certificates

LOST_AFTER_S = 60.0  # without a sign of life a worker is taken for lost
NO_WORKER_S = 60.0  # how long a job waits for a worker that has its board


def dask(name: str = "distributed") -> Any:
    """The module of that name. Errors: HostError where the extra is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise HostError("dask is not installed", "pip install 'harness[dask]'") from error


def settle(lost_after_s: float = LOST_AFTER_S, no_worker_s: float = NO_WORKER_S) -> None:
    """The settings of this process. Errors: HostError where the extra is not installed.

    A job that its worker took down is not run again by Dask: harness looks into its database first. No job is stolen,
    and a worker is never paused or ended for its memory, which a session on a board would not survive.
    """
    dask()
    config = dask("dask.config")
    config.set(
        {
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.work-stealing": False,
            "distributed.scheduler.worker-ttl": f"{lost_after_s:g}s",
            "distributed.scheduler.no-workers-timeout": f"{no_worker_s:g}s",
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
            "distributed.worker.profile.enabled": False,
            "distributed.comm.retry.count": 2,
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
    )
    for name in list(logging.root.manager.loggerDict):  # what a user has to know harness says in its own words
        if name.partition(".")[0] in ("distributed", "asyncio", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def security(certificates: Certificates | None) -> Any:
    """What Dask takes for its connections; None for plain TCP."""
    if certificates is None:
        return None
    parts = {"tls_ca_file": str(certificates.authority)}
    for part in ("scheduler", "worker", "client"):
        parts |= {f"tls_{part}_cert": str(certificates.certificate), f"tls_{part}_key": str(certificates.key)}
    return dask().Security(require_encryption=True, **parts)

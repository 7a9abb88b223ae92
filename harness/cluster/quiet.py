"""The settings of dask with which it carries runs, and says nothing of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask

SETTINGS = {
    # a run that kills its worker goes to no other one unless we say so
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.no-workers-timeout": "60s",
    # a host that has lost its power
    "distributed.scheduler.worker-ttl": "60s",
    # dask must not stop, spill or restart because of the memory of machines
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "60s",
}


@contextmanager
def configured() -> Iterator[None]:
    """These settings, for the time of a ``with`` block."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        yield

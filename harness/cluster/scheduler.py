"""The scheduler of a cluster, which passes runs on to hosts and results back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from distributed import Scheduler

from harness.cluster.access import PLAIN, SECURE, Access, security
from harness.cluster.quiet import configured
from harness.errors import HostError


async def serve(
    host: str, port: int, certificates: Path | None, ready: Callable[[Access], None]
) -> None:
    """Listen until SIGTERM or SIGINT comes; ``ready`` gets the address.

    Raises HostError if it cannot listen there.
    """
    with configured():
        scheduler = Scheduler(
            host=host,
            port=port,
            protocol=SECURE if certificates else PLAIN,
            security=security(certificates),
            dashboard=False,
        )
        try:
            await scheduler
        except OSError as error:
            raise HostError(f"cannot listen at {host} port {port}: {error.strerror}") from error
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(
                number, lambda: asyncio.ensure_future(scheduler.close(reason="asked to"))
            )
        ready(Access(scheduler.address, certificates))
        await scheduler.finished()

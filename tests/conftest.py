"""What every test may rely on."""

from __future__ import annotations

import signal

from hypothesis import settings


def pytest_configure() -> None:
    """Signals arrive, also in the background of a shell that ignores them, and under nohup."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    settings.register_profile("untimed", deadline=None)  # how fast a host is, is no test's matter
    settings.load_profile("untimed")

"""Settings and fixtures for all tests."""

from __future__ import annotations

import signal

from hypothesis import settings


def pytest_configure() -> None:
    """Signals work in every test, even under nohup or in the background of a shell."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    settings.register_profile("untimed", deadline=None)  # no test depends on the speed of the host
    settings.load_profile("untimed")

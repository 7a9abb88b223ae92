"""What every test may rely on."""

from __future__ import annotations

import signal

from hypothesis import settings


def pytest_configure() -> None:
    """Interrupts arrive, even if the tests run in the background of a shell that ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None)  # how fast a host is, is no test's matter
    settings.load_profile("untimed")

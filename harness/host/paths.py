"""Where things are: the project's data files, the image store, the evidence of runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs

from harness.errors import HarnessError, UsageError
from harness.host.fault import unusable

APP = "zharness"
_PACKAGE = Path(__file__).parents[1]  # harness/


def data_dir() -> Path:
    """The directory with ``images/`` and ``scenarios/``: in the checkout, or as installed."""
    for candidate in (_PACKAGE.parent, _PACKAGE / "_data"):
        if (candidate / "images").is_dir() and (candidate / "scenarios").is_dir():
            return candidate
    raise HarnessError(
        f"the harness in {_PACKAGE} came without images/ and scenarios/", hint="install it again"
    )


def require_file(path: Path, what: str) -> None:
    """Raises UsageError, with ``what`` and ``path``, unless it is a regular file; HostError if
    that cannot be found out.

    A user's path can lead to a FIFO or to /dev/zero, which never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unusable(f"{what} {path}", error) from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"{what} {path} is not a regular file")


def default_store() -> Path:
    """$ZHARNESS_STORE, or ``store`` in the user's cache directory."""
    chosen = os.environ.get("ZHARNESS_STORE")
    return Path(chosen) if chosen else platformdirs.user_cache_path(APP) / "store"


def config_dir() -> Path:
    """What the user has set up: ``zharness`` in the user's configuration directory."""
    return platformdirs.user_config_path(APP)


def default_nights() -> Path:
    """Where the evidence of nights goes by default: ``nights`` in the user's state directory."""
    return platformdirs.user_state_path(APP) / "nights"


def default_results() -> str:
    """$ZHARNESS_RESULTS, or ``results.sqlite`` in the user's state directory."""
    chosen = os.environ.get("ZHARNESS_RESULTS")
    return chosen or str(platformdirs.user_state_path(APP) / "results.sqlite")


def default_runs() -> Path:
    """Where evidence goes by default: ``runs`` in the user's state directory."""
    return platformdirs.user_state_path(APP) / "runs"

"""Where things are: the project's data files, the image store, the evidence of runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from harness.errors import HarnessError

APP = "zharness"
_PACKAGE = Path(__file__).parent


def data_dir() -> Path:
    """The directory that holds ``images/`` and ``scenarios/``: the checkout's, or the installed."""
    for candidate in (_PACKAGE.parent, _PACKAGE / "_data"):
        if (candidate / "images").is_dir() and (candidate / "scenarios").is_dir():
            return candidate
    raise HarnessError(
        f"the harness in {_PACKAGE} came without images/ and scenarios/", hint="install it again"
    )


def default_store() -> Path:
    """$ZHARNESS_STORE, or ``store`` in the user's cache directory."""
    chosen = os.environ.get("ZHARNESS_STORE")
    return Path(chosen) if chosen else platformdirs.user_cache_path(APP) / "store"


def default_runs() -> Path:
    """Where evidence goes unless told otherwise: ``runs`` in the user's state directory."""
    return platformdirs.user_state_path(APP) / "runs"

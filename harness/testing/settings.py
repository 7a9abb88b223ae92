"""Settings from pytest's options and its ini file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from harness.errors import HostError
from harness.host.paths import default_store

if TYPE_CHECKING:
    from harness.images.store import Store


@dataclass(frozen=True)
class Settings:
    """``keep``: evidence of passing tests, and the disks. ``fresh``: no crash from the store."""

    store: Path
    keep: bool
    fresh: bool

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """Paths are relative to the directory in which pytest was called."""
        return cls(
            store=config.invocation_params.dir
            / (config.getoption("zharness_store") or default_store()),
            keep=config.getoption("zharness_keep"),
            fresh=config.getoption("zharness_fresh"),
        )

    @property
    def other_store(self) -> Path | None:
        """The image store if it is not the default store of zharness."""
        return None if self.store == default_store().absolute() else self.store

    def open_store(self) -> Store:
        """The image store; makes its directory. Raises HostError if that fails."""
        from harness.images.store import Store
        from harness.progress import NoProgress

        try:
            self.store.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot use the image store {self.store}: {error.strerror}") from error
        return Store(self.store, NoProgress())

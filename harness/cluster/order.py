"""What is said between the two sides of a remote run. All of it is plain, so that it can travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PLUGIN = "zharness"  # the Member's name at its worker
RUN = "run-"  # the beginning of the keys of dask's tasks that are runs


@dataclass(frozen=True)
class HostState:
    """One host: how much it can take (bytes, CPUs), and why it takes nothing, if so."""

    name: str
    version: str
    memory: int
    cpus: int
    trouble: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Order:
    """One run: ``job`` as ``RunJob.to_json`` has it.

    ``files`` are the host's files that it needs, each with its SHA-256 (None for a directory).
    ``topic`` is where its progress is told. With ``slim``, only texts come back of a PASS.
    """

    key: str
    topic: str
    job: Mapping[str, Any]
    files: Mapping[str, str | None]
    slim: bool


@dataclass(frozen=True)
class Remote:
    """One file of the evidence, below ``Ended.place``; ``digest`` only of large ones."""

    name: str
    size: int
    digest: str | None


@dataclass(frozen=True)
class Ended:
    """What came of it: a verdict, with evidence; or a refusal; or the host is not fit for it."""

    verdict: Mapping[str, Any] | None = None
    place: str = ""
    files: tuple[Remote, ...] = ()
    refused: tuple[str, str | None] | None = None
    unfit: tuple[str, str | None] | None = None


@dataclass(frozen=True)
class Piece:
    """Part of a file: ``extents`` are offsets and compressed bytes, ``after`` None at its end."""

    extents: tuple[tuple[int, bytes], ...]
    after: int | None

"""Where the runs of a batch go: processes of this host, or the hosts of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from harness.cli.say import tell
from harness.errors import UsageError
from harness.run.batch.capacity import capacity, usable_cpus
from harness.run.batch.local_run import on_this_host
from harness.run.batch.running import HERE, StartRun
from harness.run.batch.schedule import Tokens


@dataclass(frozen=True)
class Hosts:
    """``rooms`` looks what each can take now, ``start`` starts a run on one of them."""

    rooms: Callable[[], Mapping[str, Tokens]]
    start: StartRun


def this_host(jobs: int | None = None) -> Hosts:
    """At most ``jobs`` runs at the same time, by default one for each CPU."""
    return Hosts(lambda: {HERE: capacity(jobs or usable_cpus())}, on_this_host())


@contextmanager
def hosts(cluster: str | None, jobs: int | None, *, slim: bool = False) -> Iterator[Hosts]:
    """The hosts of ``cluster``, or this one.

    With ``slim`` only texts come back from another host of a run that passes. Raises UsageError,
    and HostError if the cluster cannot be reached; ``rooms`` does if no host can take runs.
    """
    if cluster is None:
        yield this_host(jobs)
        return
    if jobs is not None:
        raise UsageError(
            "--jobs is for this host alone",
            hint="zharness cluster worker --jobs says how many runs its host takes",
        )
    from harness.cluster.access import Access, require_dask

    require_dask()
    from harness.cluster.cluster import Cluster

    with Cluster.open(Access.of(cluster)) as opened:
        yield Hosts(lambda: opened.rooms(tell), opened.starter(slim=slim))

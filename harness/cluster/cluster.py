"""The user's side of a cluster: which hosts there are, and how to start a run on one of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from distributed import Client, wait

from harness import __version__
from harness.closing import Closing
from harness.cluster import carry
from harness.cluster.access import Access
from harness.cluster.fetch import Fetch
from harness.cluster.order import HostState, Order
from harness.cluster.quiet import configured
from harness.cluster.remote_run import GONE, RemoteRun
from harness.errors import HostError
from harness.run.batch.job import RunJob
from harness.run.batch.running import StartRun
from harness.run.batch.schedule import Tokens
from harness.run.phases import most_seconds

CONNECT_SECONDS = 20
LOOK_SECONDS = 60.0
_CLOSE_SECONDS = 5


class Cluster(Closing):
    """A connection to the cluster; :meth:`open` makes it."""

    def __init__(self, client: Client, stack: ExitStack) -> None:
        self._client, self._stack = client, stack
        self._topic = f"zharness-{uuid.uuid4().hex}"
        self._runs: dict[str, RemoteRun] = {}
        self._fetch = Fetch()
        self._digests: dict[Path, str | None] = {}
        self._addresses: dict[str, str] = {}
        client.subscribe_topic(self._topic, self._told)

    @classmethod
    def open(cls, access: Access) -> Self:
        """Connect; raises HostError if the scheduler does not answer."""
        security = access.security()
        with ExitStack() as stack:
            stack.enter_context(configured())
            try:
                client = Client(access.address, security=security, timeout=CONNECT_SECONDS)
            except (OSError, TimeoutError, ValueError) as error:
                raise HostError(
                    f"the cluster at {access.address} does not answer",
                    hint="zharness cluster scheduler starts one; the certificates must be its own",
                ) from error
            stack.callback(_close, client)
            return cls(client, stack.pop_all())

    def close(self) -> None:
        self._stack.close()

    def hosts(self) -> list[HostState]:
        """All hosts, by name. One that does not answer, or has another harness, is in trouble."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        asked = {
            address: self._client.submit(
                carry.look, workers=[address], allow_other_workers=False, pure=False
            )
            for address in workers
        }
        if asked:
            with suppress(TimeoutError):  # those that did not answer are told below
                wait(list(asked.values()), timeout=LOOK_SECONDS)
        found = [_state(str(workers[address]["name"]), future) for address, future in asked.items()]
        self._addresses = {state.name: address for state, address in zip(found, asked, strict=True)}
        return sorted(found, key=lambda state: state.name)

    def rooms(self, tell: Callable[[str], None]) -> dict[str, Tokens]:
        """What each host that is fit can take; ``tell`` gets a line about each other.

        Raises HostError if there is none.
        """
        rooms = {}
        for state in self.hosts():
            if state.trouble is None:
                rooms[state.name] = Tokens(state.memory, state.cpus)
            else:
                tell(f"the host {state.name} takes no runs: {state.trouble}")
        if not rooms:
            raise HostError(
                "no host of the cluster can take runs",
                hint="zharness cluster worker makes a host part of it; zharness cluster show",
            )
        return rooms

    def starter(self, *, slim: bool = False) -> StartRun:
        """Starts runs on these hosts; with ``slim`` only texts come back of those that pass."""

        def start(job: RunJob, host: str) -> RemoteRun:
            key = uuid.uuid4().hex
            files = {str(path): self._digest(path) for path in job.plan.paths()}
            order = Order(key, self._topic, job.to_json(), files, slim)
            memory = job.plan.scenario.crashed.memory
            limit = most_seconds(memory, job.plan.time_factor)
            try:
                run = RemoteRun(
                    self._client,
                    self._addresses[host],
                    order,
                    job.output,
                    self._fetch,
                    limit,
                    self._forget,
                )
            except GONE as error:
                raise HostError("the cluster's scheduler is gone") from error
            self._runs[key] = run
            return run

        return start

    def _digest(self, path: Path) -> str | None:
        """The SHA-256 of a file of this host, read once; None of a directory."""
        if path not in self._digests:
            try:
                self._digests[path] = None if path.is_dir() else carry.digest_of(path)
            except OSError as error:
                raise HostError(f"{path} cannot be read: {error.strerror}") from error
        return self._digests[path]

    def _forget(self, key: str) -> None:
        self._runs.pop(key, None)

    def _told(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        if (run := self._runs.get(str(message.get("run")))) is not None:
            run.told(message)


def _state(name: str, future: Any) -> HostState:
    if future.status != "finished":
        return HostState(name, "", 0, 0, "it does not answer as a host of zharness does")
    state = future.result()
    if state.version != __version__:
        trouble = f"it has zfcpdump-harness {state.version}, and this is {__version__}"
        return HostState(name, state.version, state.memory, state.cpus, trouble)
    assert isinstance(state, HostState)
    return state


def _close(client: Client) -> None:
    with suppress(TimeoutError, AssertionError, RuntimeError, OSError):  # it may be gone already
        client.close(timeout=_CLOSE_SECONDS)

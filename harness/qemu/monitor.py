"""QMP for synchronous code: commands, and events, of which none is lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from qemu.qmp import (
    ConnectError,
    EventListener,
    ExecInterruptedError,
    ExecuteError,
    Message,
    QMPClient,
    QMPError,
    Runstate,
    StateError,
)

from harness.closing import Closing
from harness.deadline import Deadline
from harness.errors import HostError, ProtocolError, QemuDied
from harness.qemu.sieve import EventSieve

CONNECT_SECONDS = 60.0
BLOCK_IO_ERROR = "BLOCK_IO_ERROR"  # QEMU qapi/block-core.json
# of one name; a guest can cause any number of them (by resets), and further ones add nothing
MOST_WAITING = 64

# QEMU's end is an event for the harness, not a message on the user's terminal
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Event:
    """A QMP event. ``seconds`` is when it arrived, counted from the start of its QEMU."""

    name: str
    data: Mapping[str, Any]
    seconds: float


class DiskFailed(HostError):
    """The file of a machine's disk could not be read or written, so QEMU stopped the machine.

    ``device`` is QEMU's name of the disk, ``reason`` the host's, ``no_space`` whether it is full.
    """

    def __init__(self, qemu: str, data: Mapping[str, Any]) -> None:
        self.device, self.reason = str(data.get("device")), str(data.get("reason"))
        self.no_space = data.get("nospace") is True
        operation = data.get("operation", "use")
        super().__init__(f"QEMU '{qemu}' could not {operation} {self.device}: {self.reason}")


class _Tap(EventListener):
    """Passes every event on at once instead of queueing it."""

    def __init__(self, take: Callable[[Message], None]) -> None:
        super().__init__()
        self._take = take

    async def put(self, event: Message) -> None:
        self._take(event)


class _Client(QMPClient):
    """Writes directly to QEMU; only QEMU's output goes through the sieve."""

    def __init__(self, name: str, sieve: EventSieve) -> None:
        super().__init__(name)
        self._sieve = sieve

    def _do_send(self, msg: Message) -> None:
        self._sieve.send(bytes(msg))


class Monitor(Closing):
    """A QMP session over the connected ``sock``, which it owns; a context manager.

    The protocol runs in a private thread with its own event loop, from the construction to
    ``close``. ``on_event`` is called with every event, from that thread. ``started`` is the
    ``time.monotonic()`` from which events count. STOP and RESUME are not told (see ``sieve``).
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        *,
        started: float | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._name = name
        self._started = time.monotonic() if started is None else started
        self._on_event = on_event
        self._news = threading.Condition()
        self._waiting: list[Event] = []
        self._connected = False
        self._loss: Exception | None = None
        self._disk_failed: DiskFailed | None = None
        self._sieve = EventSieve(sock, name)
        self._client = _Client(name, self._sieve)
        self._client.register_listener(_Tap(self._take))
        self._stop = asyncio.Event()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._run, name=f"QMP {name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        try:
            self.wait_connected(Deadline(CONNECT_SECONDS))
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End the session and its thread. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._sieve.close()

    def wait_connected(self, deadline: Deadline) -> None:
        """Until QEMU has greeted. Raises QemuDied if it ends instead, ProtocolError if neither."""
        with self._news:
            deadline.wait(
                lambda seconds: self._news.wait_for(lambda: self._connected or self.lost, seconds)
            )
            if self._loss is not None:
                raise self._loss
            if not self._connected:
                raise ProtocolError(
                    f"QEMU '{self._name}' did not greet on QMP in {deadline.seconds:.0f} s"
                )

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._loss is not None

    def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, deadline: Deadline
    ) -> Any:
        """Run a QMP command; returns what it returns.

        Raises ProtocolError if QEMU refuses it or has not answered at the deadline, QemuDied
        if the connection is lost.
        """
        if self._loss is not None:
            raise self._loss
        future = asyncio.run_coroutine_threadsafe(
            self._client.execute(command, arguments), self._loop
        )
        try:
            deadline.wait(lambda seconds: concurrent.futures.wait([future], seconds).done)
            return future.result(0)
        except concurrent.futures.TimeoutError:
            raise ProtocolError(
                f"QEMU '{self._name}' did not answer {command} in {deadline.seconds:.0f} s"
            ) from None
        except ExecuteError as error:
            raise ProtocolError(
                f"QEMU '{self._name}' refused {command}: {error.error_class}: {error}"
            ) from error
        except (ExecInterruptedError, StateError) as error:
            raise self._closed() from error
        except QMPError as error:
            raise ProtocolError(f"QEMU '{self._name}' answered {command} with {error}") from error
        finally:
            future.cancel()

    def lend(self, name: str, fd: int, *, deadline: Deadline) -> None:
        """Give QEMU a duplicate of ``fd``, which other commands call ``name``.

        ``fd`` stays the caller's. Raises as ``execute`` does.
        """
        self._sieve.lend(fd)
        self.execute("getfd", {"fdname": name}, deadline=deadline)

    def wait_event(self, names: Collection[str], deadline: Deadline) -> Event | None:
        """Take the oldest event with one of ``names`` that was not taken yet.

        Other events stay, of one name the oldest ``MOST_WAITING``. Returns None at the deadline;
        raises QemuDied if the connection is lost before, DiskFailed if QEMU has stopped the machine
        for a disk.
        """
        with self._news:
            deadline.wait(lambda seconds: self._news.wait_for(lambda: self._has(names), seconds))
            self.check_disks()
            event = self._find(names)
            if event is not None:
                self._waiting.remove(event)
                return event
            if self._loss is not None:
                raise self._loss
            return None

    def check_disks(self) -> None:
        """Raise DiskFailed if a disk has stopped the machine (werror=stop, rerror=stop)."""
        if self._disk_failed is not None:
            raise self._disk_failed

    def _has(self, names: Collection[str]) -> bool:
        return bool(self._loss or self._disk_failed) or self._find(names) is not None

    def _find(self, names: Collection[str]) -> Event | None:
        return next((event for event in self._waiting if event.name in names), None)

    def _closed(self) -> QemuDied:
        return QemuDied(f"QEMU '{self._name}' closed its QMP connection")

    # what follows runs in the private thread

    def _run(self) -> None:
        with self._runner:
            self._runner.run(self._live())

    async def _live(self) -> None:
        """One session; after it the loop runs on until ``close``, for late calls of ``execute``."""
        loss: Exception = self._closed()
        try:
            await self._session()
        except Exception as error:
            loss = self._explain(error)
        with self._news:
            self._loss = loss
            self._news.notify_all()
        await self._stop.wait()

    async def _session(self) -> None:
        stop = asyncio.create_task(self._stop.wait())
        session = asyncio.create_task(self._connection())
        try:
            await asyncio.wait({stop, session}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            session.cancel()
            await asyncio.gather(stop, session, return_exceptions=True)
            await self._client.disconnect()
        if not session.cancelled():
            session.result()

    async def _connection(self) -> None:
        await self._client.connect(self._sieve.reader)
        with self._news:
            self._connected = True
            self._news.notify_all()
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()

    def _explain(self, error: Exception) -> Exception:
        """Whose fault the end of the session was."""
        cause = error.exc if isinstance(error, ConnectError) else error
        if isinstance(cause, EOFError | OSError):
            return self._closed()
        if isinstance(cause, QMPError):
            return ProtocolError(f"QEMU '{self._name}' broke QMP: {cause}")
        return cause  # on_event's own; raised where somebody waits for an event

    def _take(self, message: Message) -> None:
        event = Event(
            name=str(message["event"]),
            data=MappingProxyType(dict(message.get("data", {}))),  # type: ignore[call-overload]
            seconds=time.monotonic() - self._started,
        )
        with self._news:
            if event.name == BLOCK_IO_ERROR and event.data.get("action") == "stop":
                self._disk_failed = self._disk_failed or DiskFailed(self._name, event.data)
            if sum(other.name == event.name for other in self._waiting) < MOST_WAITING:
                self._waiting.append(event)
            self._news.notify_all()
        if self._on_event is not None:
            self._on_event(event)

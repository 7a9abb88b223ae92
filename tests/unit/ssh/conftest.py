from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.ssh.connection import SshConnection
from harness.ssh.handshake import Login
from harness.ssh.keys import KeyPair
from tests.support.guests.sshd import SECONDS, Sshd


@pytest.fixture(scope="session")
def user_key() -> KeyPair:
    return KeyPair.make()


@pytest.fixture
def key_file(tmp_path: Path, user_key: KeyPair) -> Path:
    path = tmp_path / "id"
    user_key.write(path)
    return path


@pytest.fixture
def serving(tmp_path: Path, user_key: KeyPair) -> Iterator[Callable[..., Sshd]]:
    """Starts servers whose files are in ``tmp_path / "guest"``."""
    root = tmp_path / "guest"
    root.mkdir()
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(Sshd(root, user_key.public, **how))


@pytest.fixture
def connected(key_file: Path) -> Iterator[Callable[..., SshConnection]]:
    """Logs in to a server."""
    with ExitStack() as stack:

        def connect(sshd: Sshd, **how: Any) -> SshConnection:
            login = Login("root", key_file, sshd.host_key.public)
            deadline = Deadline(SECONDS)
            return stack.enter_context(SshConnection.open(*sshd.address, login, deadline, **how))

        yield connect

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import HostError, UsageError
from harness.ssh.keys import KeyPair, private_key, public_key


def test_a_key_is_read_as_it_was_written(tmp_path: Path):
    key = KeyPair.make()
    key.write(tmp_path / "id")
    assert KeyPair.read(tmp_path / "id") == key


def test_two_keys_differ():
    assert KeyPair.make() != KeyPair.make()


def test_nobody_else_can_read_a_key(tmp_path: Path):
    KeyPair.make().write(tmp_path / "id")
    assert stat.S_IMODE((tmp_path / "id").stat().st_mode) == 0o600


def test_a_key_overwrites_no_other(tmp_path: Path):
    KeyPair.make().write(tmp_path / "id")
    with pytest.raises(FileExistsError):
        KeyPair.make().write(tmp_path / "id")


def test_the_formats_are_those_of_openssh(tmp_path: Path):
    key = KeyPair.make()
    key.write(tmp_path / "id")
    assert key.private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert private_key(tmp_path / "id") == public_key(f"{key.public} root@guest")


@pytest.mark.parametrize("read", [KeyPair.read, private_key])
def test_a_file_without_a_key_is_a_mistake_of_the_user(tmp_path: Path, read):
    (tmp_path / "id").write_text("no key\n")
    with pytest.raises(UsageError, match=r"id: not a private key that can be used"):
        read(tmp_path / "id")
    with pytest.raises(UsageError, match="none: No such file or directory"):
        read(tmp_path / "none")


@pytest.mark.parametrize("read", [KeyPair.read, private_key])
def test_a_key_that_cannot_be_read_is_a_fault_of_the_host(tmp_path: Path, read, monkeypatch):
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied", "id")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(HostError, match="Permission denied"):
        read(tmp_path / "id")


@given(st.text())
@example("ssh-ed25519")
@example("ssh-ed25519 AAAA")
@example("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==")
@example("ssh-rsa AAAAB3NzaC1yc2E=")
@example("ecdsa-sha2-nistp256 AAAA")
def test_other_text_is_no_public_key(text: str):
    with pytest.raises(UsageError, match="is no public key"):
        public_key(text)

"""Keys of users and hosts, in the text formats of OpenSSH.

References: RFC 8709 (Ed25519 in SSH); OpenSSH PROTOCOL.key (the format of a private key); sshd(8),
"AUTHORIZED_KEYS FILE FORMAT" (a public key as a line).
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)
from paramiko import PKey

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.printable import printable

_OWNER_ONLY = 0o600  # ssh(1) refuses a private key that others can read
_SHOWN = 60  # characters of a line that is no key


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key: ``private`` as OpenSSH's text, ``public`` as a line without its end."""

    private: str
    public: str

    @classmethod
    def make(cls) -> Self:
        """A new key, from the host's random numbers."""
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        return cls(private.decode(), _public_line(key))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The key that ``write`` left; raises UsageError or HostError if ``path`` is none."""
        try:
            text = path.read_bytes()
            key = load_ssh_private_key(text, password=None)
        except OSError as error:
            raise unusable(str(path), error) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_private_key(path, error) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError(f"{path}: not an Ed25519 key")
        return cls(text.decode(), _public_line(key))

    def write(self, path: Path) -> None:
        """Write the private key to the new file ``path``, readable for its owner only.

        Raises OSError; FileExistsError if there is such a file.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.private)


def _public_line(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def private_key(path: Path) -> PKey:
    """The user's private key in ``path``, of any type that SSH uses, without a passphrase.

    Raises UsageError if it is no such key, HostError if it cannot be read.
    """
    try:
        return PKey.from_path(path)
    except OSError as error:
        raise unusable(str(path), error) from error
    except Exception as error:  # paramiko's and cryptography's have no common base
        raise _no_private_key(path, error) from error


def public_key(line: str) -> PKey:
    """The key of a line ``TYPE BASE64 [COMMENT]``; raises UsageError if it is none."""
    fields = line.split()
    try:
        kind, data = fields[0], base64.b64decode(fields[1], validate=True)
        key = PKey.from_type_string(kind, data)
    except Exception as error:  # paramiko's and cryptography's have no common base
        raise _no_public_key(line) from error
    if key.asbytes() != data:  # paramiko pads a key that was cut
        raise _no_public_key(line)
    return key


def _no_private_key(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path}: not a private key that can be used: {printable(str(error))}",
        hint="give a key of OpenSSH without a passphrase: ssh-keygen -t ed25519 -N '' -f FILE",
    )


def _no_public_key(line: str) -> UsageError:
    return UsageError(
        f"'{printable(line, limit=_SHOWN)}' is no public key",
        hint="/etc/ssh/ssh_host_ed25519_key.pub of the system is one: TYPE BASE64 COMMENT",
    )

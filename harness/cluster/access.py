"""How to reach a cluster: the address of its scheduler, and the certificates."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from harness.cluster.certificates import AUTHORITY, CERTIFICATE, KEY
from harness.errors import HostError, UsageError
from harness.files.atomic import replace_text
from harness.files.json_file import as_model, read_object
from harness.files.json_text import to_text
from harness.host.paths import config_dir

if TYPE_CHECKING:
    from distributed.security import Security

FILE = "cluster.json"  # beside the certificates
SECURE, PLAIN = "tls", "tcp"


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    address: str


@dataclass(frozen=True)
class Access:
    """``address`` is that of the scheduler; without ``certificates`` nothing is encrypted."""

    address: str
    certificates: Path | None

    @classmethod
    def of(cls, word: str) -> Self:
        """From the path of a cluster.json, or an address such as ``tls://HOST:8786``.

        For an address, the certificates are those in the user's configuration directory. Raises
        UsageError if it is neither, EvidenceError for another file, HostError without certificates.
        """
        _, separator, _ = word.partition("://")
        if not separator:
            file = Path(word)
            if not file.is_file():
                raise UsageError(
                    f"{word} is neither the address of a cluster, nor its file",
                    hint=f"name the {FILE} that zharness cluster scheduler has written, "
                    f"or an address such as {SECURE}://HOST:8786",
                )
            address = as_model(_File, read_object(file), file).address
            return cls._checked(address, file.parent)
        return cls._checked(word, default_certificates())

    @classmethod
    def _checked(cls, address: str, certificates: Path) -> Self:
        scheme, _, rest = address.partition("://")
        if scheme not in (SECURE, PLAIN) or not rest:
            raise UsageError(f"'{address}' is no address such as {SECURE}://HOST:8786")
        return cls(address, certificates if scheme == SECURE else None)

    def security(self) -> Security:
        """What dask wants to know of it; raises HostError if a certificate is missing."""
        return security(self.certificates)

    def save(self, directory: Path) -> Path:
        """Write the file that :meth:`of` takes; raises HostError."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            replace_text(directory / FILE, to_text({"address": self.address}) + "\n")
        except OSError as error:
            raise HostError(f"{error.filename} cannot be written: {error.strerror}") from error
        return directory / FILE


def require_dask() -> None:
    """Raises HostError if dask.distributed, which is optional, is not installed."""
    if find_spec("distributed") is None:
        raise HostError(
            "dask.distributed is not installed",
            hint="pip install 'zfcpdump-harness[cluster]', on each host of the cluster",
        )


def default_certificates() -> Path:
    """Where ``zharness cluster init`` puts certificates."""
    return config_dir() / "cluster"


def security(certificates: Path | None) -> Security:
    """The same for the side that listens."""
    from distributed.security import Security

    if certificates is None:
        return Security()
    files = [certificates / name for name in (AUTHORITY, CERTIFICATE, KEY)]
    for file in files:
        if not file.is_file():
            raise HostError(
                f"{file}: there is no such file",
                hint="zharness cluster init makes certificates; copy them to each host",
            )
    authority, certificate, key = map(str, files)
    roles = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=authority,
        **{f"tls_{role}_cert": certificate for role in roles},
        **{f"tls_{role}_key": key for role in roles},
    )

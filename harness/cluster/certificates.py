"""The certificates of a cluster: an authority, and one certificate that all its processes share.

Whoever has the key can start any program on any host of the cluster, as the user of its worker.
The authority's own key is not kept, so that nothing more can be signed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.errors import HostError, UsageError

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "cluster.pem", "cluster.key"


def make(directory: Path, days: int) -> None:
    """Write the three files to the new ``directory``; they are valid for ``days``.

    Raises UsageError if it is there, HostError if it cannot be written.
    """
    until = timedelta(days=days)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = _name("zharness cluster authority")
    authority = _signed(name, name, authority_key, authority_key, until, is_authority=True)
    certificate = _signed(_name("zharness cluster"), name, key, authority_key, until)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        directory.mkdir(parents=True, mode=0o700)
        (directory / KEY).touch(mode=0o600)
        (directory / KEY).write_bytes(private)
        for file, content in ((AUTHORITY, authority), (CERTIFICATE, certificate)):
            (directory / file).write_bytes(content.public_bytes(serialization.Encoding.PEM))
    except FileExistsError as error:
        raise UsageError(f"{directory} is there already", hint="name another one") from error
    except OSError as error:
        raise HostError(f"{error.filename} cannot be written: {error.strerror}") from error


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    valid: timedelta,
    *,
    is_authority: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clocks of hosts differ
        .not_valid_after(now + valid)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )

"""Certificates, and the words that name a cluster."""

from __future__ import annotations

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.cluster import access
from harness.cluster.access import Access, security
from harness.cluster.certificates import AUTHORITY, CERTIFICATE, KEY, make
from harness.errors import EvidenceError, HostError, UsageError


def test_certificates_are_signed_by_an_authority_whose_key_is_nowhere(tmp_path):
    make(tmp_path / "new", days=10)
    authority, certificate = (
        x509.load_pem_x509_certificate((tmp_path / "new" / name).read_bytes())
        for name in (AUTHORITY, CERTIFICATE)
    )
    certificate.verify_directly_issued_by(authority)
    assert 9 < (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 11
    key = serialization.load_pem_private_key((tmp_path / "new" / KEY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert certificate.public_key() == key.public_key() != authority.public_key()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {AUTHORITY, CERTIFICATE, KEY}


def test_nobody_else_can_read_the_key(tmp_path):
    make(tmp_path / "new", days=1)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / KEY).stat().st_mode) == 0o600


def test_certificates_are_never_overwritten(tmp_path):
    with pytest.raises(UsageError, match="is there already"):
        make(tmp_path, days=1)


def test_a_file_leads_to_the_certificates_beside_it(tmp_path):
    file = Access("tls://192.0.2.1:8786", tmp_path).save(tmp_path)
    assert Access.of(str(file)) == Access("tls://192.0.2.1:8786", tmp_path)


def test_an_address_leads_to_the_certificates_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(access, "default_certificates", lambda: tmp_path)
    assert Access.of("tls://h:1").certificates == tmp_path
    assert Access.of("tcp://h:1").certificates is None


@pytest.mark.parametrize("word", ["nowhere", "ftp://h:1", "tls://", "", "tls:/h"])
def test_other_words_are_refused(word):
    with pytest.raises(UsageError):
        Access.of(word)


@pytest.mark.parametrize("content", ["", "{}", '{"address": 1}', "[]"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(EvidenceError):
        Access.of(str(tmp_path / "x.json"))


def test_a_missing_certificate_is_named(tmp_path):
    make(tmp_path / "new", days=1)
    (tmp_path / "new" / CERTIFICATE).unlink()
    with pytest.raises(HostError, match=CERTIFICATE):
        security(tmp_path / "new")


def test_with_certificates_everything_is_encrypted(tmp_path):
    make(tmp_path / "new", days=1)
    assert security(tmp_path / "new").require_encryption
    assert not security(None).require_encryption

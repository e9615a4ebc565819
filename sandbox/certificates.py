"""A small certificate authority per control plane: one CA, a serving certificate for loopback, client certificates."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS = datetime.timedelta(days=3650)


def _name(common: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


class Authority:
    """A CA whose certificates live in one directory; made once, then read back."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.certificate = directory / "ca.crt"
        key_file = directory / "ca.key"
        if self.certificate.exists():
            loaded = serialization.load_pem_private_key(key_file.read_bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._key = loaded
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(_name("accelfleet-sandbox"), self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            key_encipherment=False,
            content_commitment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        signed = made.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        _write_key(self._key, key_file)
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name("accelfleet-sandbox"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A clock that runs a little behind must not refuse it.
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + _YEARS)
        )

    def issue(self, name: str, common: str, organisation: str | None = None) -> tuple[Path, Path]:
        """A certificate for loopback and for clients; returns (certificate, key) files, kept once made."""
        cert_file, key_file = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        if cert_file.exists():
            return cert_file, key_file
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.DNSName("kubernetes"), x509.DNSName("kubernetes.default.svc")]
        addresses = [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "10.96.0.1")]
        signed = (
            self._builder(_name(common, organisation), key)
            .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        _write_key(key, key_file)
        cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return cert_file, key_file

    def service_account_key(self) -> Path:
        """The key that signs service-account tokens."""
        path = self.directory / "service-accounts.key"
        if not path.exists():
            _write_key(ec.generate_private_key(ec.SECP256R1()), path)
        return path

"""Certificates as a cluster's front proxy has them: an authority, and clients of it by name."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class ClientAuthority:
    """What signs client certificates."""

    name: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str = "front-proxy-ca") -> ClientAuthority:
        """A new one."""
        return cls(name, ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        """Its own certificate."""
        signed = (
            _begun(_name(self.name), _name(self.name), self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return signed.public_bytes(PEM).decode()

    def client(self, name: str, folder: Path) -> tuple[Path, Path]:
        """Files with a client's certificate of that common name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _begun(_name(name), _name(self.name), key)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        certificate, secret = folder / f"{self.name}-{name}.crt", folder / f"{self.name}-{name}.key"
        certificate.write_bytes(signed.public_bytes(PEM))
        secret.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return certificate, secret


def client_context(authorities: str, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
    """How the API server connects: it checks the server's certificate and shows its own."""
    context = ssl.create_default_context(cadata=authorities)
    if pair:
        context.load_cert_chain(*pair)
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )

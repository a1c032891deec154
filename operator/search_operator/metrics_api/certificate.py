"""The serving certificate: made for one Service by an authority of its own, whose key is forgotten at once.

Each renewal brings a new authority. The old one stays in the bundle until it ends, for another replica may show its
certificate a little longer. So there is nothing to steal but the key of one server, for as long as its certificate lasts.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LASTS = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=30)
# Other machines' clocks may be behind.
_BACKDATED = timedelta(hours=1)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class ServingCertificate:
    """PEM texts: the certificate, its key, and the authorities by which callers may know it (the newest first)."""

    certificate: str
    key: str
    authorities: str

    def __repr__(self) -> str:
        """Without the key, which must not get into a log."""
        return f"ServingCertificate(ends={self.ends.isoformat()})"

    @property
    def ends(self) -> datetime:
        """Until when it is good."""
        return _parsed(self.certificate)[0].not_valid_after_utc


def due(held: ServingCertificate | None, host: str, now: datetime) -> str:
    """Why another certificate must be made now; empty when the one that is held will do."""
    if held is None:
        return "there is none yet"
    try:
        (leaf, *_), authorities = _parsed(held.certificate), _parsed(held.authorities)
        key = serialization.load_pem_private_key(held.key.encode(), None)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "the one in the Secret can't be read"
    if key.public_key() != leaf.public_key():
        return "the key in the Secret is another certificate's"
    if host not in names.get_values_for_type(x509.DNSName):
        return f"the one in the Secret is not for {host}"
    if not any(_issued(leaf, authority) for authority in authorities):
        return "the one in the Secret was not issued by the authorities beside it"
    if leaf.not_valid_after_utc - now < RENEWED_BEFORE:
        return f"the one in the Secret ends at {leaf.not_valid_after_utc.isoformat()}"
    return ""


def renewed(held: ServingCertificate | None, host: str, now: datetime) -> ServingCertificate:
    """A new certificate for `host`; authorities of the one held stay in the bundle until they end."""
    authority_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "semantic-search-operator metrics API")]
    )
    ends = now + LASTS
    authority = (
        _begun(authority_name, authority_name, authority_key, now, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        # The name of a Service may be longer than a common name may; only the alternative name is looked at.
        _begun(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]),
            authority_name,
            leaf_key,
            now,
            ends,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = leaf_key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    bundle = [authority, *_still_good(held, now)]
    return ServingCertificate(
        leaf.public_bytes(_PEM).decode(),
        key.decode(),
        "".join(each.public_bytes(_PEM).decode() for each in bundle),
    )


def secret_data(made: ServingCertificate) -> dict[str, str]:
    """`data` of a Secret of type kubernetes.io/tls."""
    texts = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authorities}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def certificate_in(secret: Mapping[str, Any] | None) -> ServingCertificate | None:
    """The certificate in a Secret; None when there is none, or not all of it."""
    data = (secret or {}).get("data") or {}
    try:
        texts = [
            base64.b64decode(data[name], validate=True).decode() for name in ("tls.crt", "tls.key", "ca.crt")
        ]
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None
    return ServingCertificate(*texts) if all(texts) else None


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _parsed(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def _still_good(held: ServingCertificate | None, now: datetime) -> list[x509.Certificate]:
    try:
        return [each for each in _parsed(held.authorities) if each.not_valid_after_utc > now] if held else []
    except ValueError:
        return []


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):  # another's signature, name, kind of key
        return False
    return True

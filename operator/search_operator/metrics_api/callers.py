"""Who may call: the API server alone, by the client certificate that it shows to every aggregated API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

NAMESPACE, CONFIG_MAP = "kube-system", "extension-apiserver-authentication"


@dataclass(frozen=True)
class Trust:
    """The authorities (PEM) of the front proxy's certificate, and its names; without names any of theirs will do."""

    authorities: str
    names: frozenset[str]

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a verified peer certificate, as `ssl` tells it, is the front proxy's; None is none."""
        if not certificate:
            return False
        return not self.names or _common_name(certificate) in self.names


def trust_of(config_map: Mapping[str, Any] | None) -> Trust:
    """What the cluster publishes. ValueError saying why nobody can be trusted."""
    place = f"ConfigMap {NAMESPACE}/{CONFIG_MAP}"
    data = (config_map or {}).get("data") or {}
    authorities = data.get("requestheader-client-ca-file", "")
    if not authorities:
        raise ValueError(
            f"{place} has no requestheader-client-ca-file: the API server runs without its aggregation layer"
        )
    try:
        x509.load_pem_x509_certificates(authorities.encode())
        names = json.loads(data.get("requestheader-allowed-names") or "[]")
    except ValueError as error:
        raise ValueError(f"{place} can't be read: {error}") from None
    if not isinstance(names, list):
        raise ValueError(f"{place}: requestheader-allowed-names is no list")
    return Trust(authorities, frozenset(map(str, names)))


def _common_name(certificate: Mapping[str, Any]) -> str | None:
    # Of several the last one counts, as for the API server itself.
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return names[-1] if names else None

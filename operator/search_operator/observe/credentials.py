"""Secrets that a spec names: read in the index's own namespace, never shown."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import SECRET, KubernetesApi
from search_operator.observe.observation import Problem


@dataclass(frozen=True)
class StoreCredentials:
    """The values of the Secrets that an index names; repr shows none of them."""

    milvus: Mapping[str, str] = field(default_factory=dict, repr=False)
    elasticsearch: Mapping[str, str] = field(default_factory=dict, repr=False)
    elasticsearch_ca: str = field(default="", repr=False)
    problem: Problem | None = None


MILVUS_KEYS = (("token",), ("username", "password"))
ELASTICSEARCH_KEYS = (("api_key",), ("username", "password"))
CA_KEYS = (("ca.crt",),)


async def read_credentials(api: KubernetesApi, index: SemanticSearchIndex) -> StoreCredentials:
    """All named Secrets; `problem` names the field, the Secret and the keys when one is missing or incomplete."""
    milvus, catalogue = index.spec.vector_store.milvus, index.spec.catalogue.elasticsearch
    found: dict[str, Mapping[str, str]] = {}
    for field_path, reference, accepted in (
        ("spec.vectorStore.milvus.credentialsSecretRef", milvus.credentials_secret_ref, MILVUS_KEYS),
        (
            "spec.catalogue.elasticsearch.credentialsSecretRef",
            catalogue.credentials_secret_ref,
            ELASTICSEARCH_KEYS,
        ),
        ("spec.catalogue.elasticsearch.caSecretRef", catalogue.ca_secret_ref, CA_KEYS),
    ):
        if reference is None:
            continue
        secret = await api.get(SECRET, index.namespace, reference.name)
        if secret is None:
            message = f"{field_path} names Secret {reference.name}, which is not in namespace {index.namespace}; create it"
            return StoreCredentials(problem=Problem("SecretMissing", message))
        data = {
            k: base64.b64decode(v).decode(errors="replace") for k, v in (secret.get("data") or {}).items()
        }
        if not any(all(data.get(key) for key in keys) for keys in accepted):
            wanted = " or ".join(" and ".join(keys) for keys in accepted)
            message = f"Secret {reference.name} ({field_path}) lacks keys: it needs {wanted}"
            return StoreCredentials(problem=Problem("SecretIncomplete", message))
        found[field_path] = data
    return StoreCredentials(
        milvus=found.get("spec.vectorStore.milvus.credentialsSecretRef", {}),
        elasticsearch=found.get("spec.catalogue.elasticsearch.credentialsSecretRef", {}),
        elasticsearch_ca=found.get("spec.catalogue.elasticsearch.caSecretRef", {}).get("ca.crt", ""),
    )

"""The resource as types: its spec, its status, what follows from it; the CRD is generated from here."""

from search_operator.api.derive import (
    catalogue_fields,
    desired_release,
    encoder_identity,
    hnsw_index,
    weights_identity,
)
from search_operator.api.index import (
    GROUP,
    KIND,
    PLURAL,
    SHORT_NAME,
    VERSION,
    InvalidResource,
    SemanticSearchIndex,
)
from search_operator.api.spec import Spec
from search_operator.api.status import Status

__all__ = [
    "GROUP",
    "KIND",
    "PLURAL",
    "SHORT_NAME",
    "VERSION",
    "InvalidResource",
    "SemanticSearchIndex",
    "Spec",
    "Status",
    "catalogue_fields",
    "desired_release",
    "encoder_identity",
    "hnsw_index",
    "weights_identity",
]

"""The vector store: which Milvus, and the shape of the collection in it."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel, refused, rules
from search_operator.api.values import MilvusEndpoint

_INT32_MAX = 2147483647


class VectorIndex(ApiModel):
    """How vectors are indexed."""

    type: Literal["HNSW"] = "HNSW"
    """HNSW, a graph of near neighbours."""
    metric: Literal["COSINE", "IP", "L2"] = "COSINE"
    """How vectors are compared."""
    m: Annotated[int, Field(ge=2, le=2048)] = 64
    """Links per node; more is better recall and more memory (Milvus: 2 to 2048)."""
    ef_construction: Annotated[int, Field(ge=1, le=_INT32_MAX)] = 200
    """Candidates while building; more is better recall and a slower build."""


class VectorSearch(ApiModel):
    """How vectors are searched."""

    ef: Annotated[int, Field(ge=1, le=_INT32_MAX)] = 128
    """Candidates while searching; at least search.topK."""


class ManagedMilvus(ApiModel):
    """A Milvus that the operator would run itself."""

    version: Annotated[str, Field(max_length=32)] | None = None
    """Version of Milvus."""
    storage_class_name: Annotated[str, Field(max_length=253)] | None = None
    """Storage class of its volumes."""


class Milvus(ApiModel):
    """A Milvus and the collection in it."""

    model_config = rules(
        Cel(
            "has(self.endpoint) || has(self.clusterRef) || has(self.managed)",
            "milvus needs endpoint: write host:port, e.g. milvus.stores.svc:19530",
            ".endpoint",
        ),
    )

    endpoint: MilvusEndpoint | None = None
    """host:port, or http(s)://host:port."""
    cluster_ref: (
        Annotated[ObjectRef, refused("milvus.clusterRef", instead="write endpoint instead")] | None
    ) = None
    """A Milvus resource of this namespace; not served yet."""
    managed: Annotated[ManagedMilvus, refused("milvus.managed", instead="write endpoint instead")] | None = (
        None
    )
    """Run a Milvus for this index; not served yet."""
    credentials_secret_ref: ObjectRef | None = None
    """Secret with username and password, or token; absent means no authentication."""
    database: Annotated[
        str,
        Field(min_length=1, max_length=255),
        Cel(
            "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
            "must be letters, digits and underscores, as Milvus demands, e.g. default",
        ),
    ] = "default"
    """Milvus database; it must exist."""
    shards: Annotated[int, Field(ge=1, le=16)] = 4
    """Write channels of the collection."""
    replicas: Annotated[int, Field(ge=1, le=16)] = 2
    """Copies of the collection in memory, each on query nodes of its own."""
    index: VectorIndex = VectorIndex()
    """The index over the vectors."""
    search: VectorSearch = VectorSearch()
    """Parameters of a search."""

    @property
    def uri(self) -> str:
        """The endpoint as a URI: http:// is put before a bare host:port. Empty without an endpoint."""
        if not self.endpoint:
            return ""
        return self.endpoint if "://" in self.endpoint else f"http://{self.endpoint}"


class VectorStore(ApiModel):
    """Where the vectors lie."""

    milvus: Milvus
    """A Milvus."""

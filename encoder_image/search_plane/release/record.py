"""The release: its record (kept in the collection's description) and the snapshot that the data plane runs on."""

from typing import Final, Literal

import orjson
from pydantic import ValidationError

from search_plane.release.identity import EncoderIdentity, Frozen, canonical_sha256

RECORD_KIND: Final = "semanticsearch.io/release.v1"

ID_FIELD = "id"
VECTOR_FIELD = "dense"
# The hash of the text that was embedded; where rows hold the product's fields too, their hash is behind it.
HASH_FIELD = "content_hash"
MAX_ID_LENGTH = 128

# What rows hold: an id, a vector and a hash (1), and beside them the product's fields (2; see stored.py). New
# collections are of the last.
ROWS_WITH_FIELDS: Final = 2


class HnswIndex(Frozen):
    """HNSW build parameters (Milvus: M, efConstruction) and the metric the vectors are compared by."""

    metric: Literal["COSINE", "IP", "L2"] = "COSINE"
    m: int = 64
    ef_construction: int = 200


class EncoderSource(Frozen):
    """Where a release's encoder gets its bytes, so that a retained one can be started again after the spec moved on.

    At most one of `weights_image` (OCI image volume) and `weights_claim` (PersistentVolumeClaim) is set; with neither
    the artefact lies in the encoder's image. `weights_path` is the folder in the claim or in the image. An empty
    `image` means the operator's own.
    """

    image: str = ""
    weights_image: str = ""
    weights_claim: str = ""
    weights_path: str = ""


class ReleaseRecord(Frozen):
    """One immutable release as it is written into its collection; enough to rebuild the status from Milvus alone.

    `replicas` is how many times the collection is loaded: Milvus changes that number only by a read outage, so
    another number is another release. `rebuild` (a time, RFC 3339) tells a full rebuild from what it replaces; empty
    for none. `owner` is the uid of the index that made it: only that one drops it unasked. `row_schema` is what its
    rows hold; it is no part of the release's name, so that a release made before stays the release that is wanted.
    """

    kind: Literal["semanticsearch.io/release.v1"] = RECORD_KIND
    namespace: str
    index: str
    release: str
    encoder: EncoderIdentity
    hnsw: HnswIndex
    shards: int
    replicas: int = 1
    rebuild: str = ""
    source: EncoderSource = EncoderSource()
    owner: str = ""
    row_schema: int = 1

    @property
    def stores_fields(self) -> bool:
        """Whether rows hold the product's fields beside its vector."""
        return self.row_schema >= ROWS_WITH_FIELDS

    def to_description(self) -> str:
        """JSON for the collection's description."""
        return orjson.dumps(self.model_dump()).decode()

    @classmethod
    def from_description(cls, description: str) -> "ReleaseRecord | None":
        """The record in a collection's description; None when the collection is not one of ours."""
        if RECORD_KIND not in description:
            return None
        try:
            return cls.model_validate_json(description)
        except ValidationError:
            return None


def release_name(
    encoder: EncoderIdentity, hnsw: HnswIndex, shards: int, replicas: int, rebuild: str = ""
) -> str:
    """`r-<8 hex>`: equal for equal content, so that a restarted operator finds its own work again."""
    content = [encoder.fingerprint(), hnsw.model_dump(), shards, replicas, rebuild]
    return "r-" + canonical_sha256(content)[:8]


def collection_name(namespace: str, index: str, release: str) -> str:
    """Physical collection name: letters, digits and underscores only, as Milvus demands."""
    return f"{alias_name(namespace, index)}_{release.replace('-', '_')}"


def alias_name(namespace: str, index: str) -> str:
    """The alias that people and tools may use; queries never do.

    Unique because an index name holds no `--` (a rule of the CRD), so the last `__` divides the two names.
    """
    return f"{_plain(namespace)}__{_plain(index)}"


def _plain(name: str) -> str:
    """A DNS label as a Milvus name, which has no dashes and no leading digit (a label has no leading dash)."""
    text = name.replace("-", "_")
    return f"_{text}" if text[0].isdigit() else text


class MilvusTarget(Frozen):
    """Where the vectors are. `uri` such as http://milvus.stores.svc:19530; deadlines in seconds."""

    uri: str
    database: str = "default"
    collection: str
    metric: Literal["COSINE", "IP", "L2"] = "COSINE"
    ef: int = 128
    credentials_dir: str | None = None


class CatalogueFields(Frozen):
    """Names of the catalogue's document fields. `updated_at` may be absent in a catalogue that does not keep it."""

    id: str = "sku"
    title: str = "title"
    brand: str = "brand"
    category: str = "category"
    price: str = "price"
    stock: str = "stock"
    updated_at: str = "updated_at"


class CatalogueTarget(Frozen):
    """Where the catalogue is. `filter` is a Lucene query string restricting which documents exist for search."""

    url: str
    index: str
    fields: CatalogueFields = CatalogueFields()
    filter: str = ""
    credentials_dir: str | None = None
    ca_file: str | None = None


class ReleaseSnapshot(Frozen):
    """All that a gateway or a job needs to serve or fill one release; mounted as /etc/search/release/release.json.

    `reuse` names collections of the same fingerprint whose vectors a job may copy where the content hash is the same.
    """

    namespace: str
    index: str
    release: str
    fingerprint: str
    encoder: EncoderIdentity
    encoder_url: str
    milvus: MilvusTarget
    catalogue: CatalogueTarget
    top_k: int = 100
    reuse: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON: the same snapshot is always the same text."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS).decode()

    def revision(self) -> str:
        """16 hex digits that tell this snapshot from one of the same release with, say, another ef."""
        return canonical_sha256(self.model_dump())[:16]

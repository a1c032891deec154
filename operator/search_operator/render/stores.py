"""How pods get at Milvus and Elasticsearch: the snapshot's targets, and the files that are mounted for them."""

from collections.abc import Sequence

from search_plane.release.record import (
    CatalogueTarget,
    MilvusTarget,
    ReleaseRecord,
    ReleaseSnapshot,
    collection_name,
)

from search_operator.api.derive import catalogue_fields
from search_operator.api.index import SemanticSearchIndex
from search_operator.render.child import Object
from search_operator.render.encoder import encoder_url

RELEASE_DIR = "/etc/search/release"
MILVUS_DIR = "/etc/search/milvus"
ELASTICSEARCH_DIR = "/etc/search/elasticsearch"
CA_DIR = "/etc/search/elasticsearch-ca"


def snapshot_of(
    index: SemanticSearchIndex, record: ReleaseRecord, reuse: Sequence[ReleaseRecord] = ()
) -> ReleaseSnapshot:
    """What the data plane needs to fill or serve the release, with what the spec may change in place (ef, filter).

    `reuse`: releases whose vectors may be copied into it.
    """
    milvus, elasticsearch = index.spec.vector_store.milvus, index.spec.catalogue.elasticsearch
    return ReleaseSnapshot(
        namespace=index.namespace,
        index=index.name,
        release=record.release,
        fingerprint=record.encoder.fingerprint(),
        encoder=record.encoder,
        encoder_url=encoder_url(index, record.encoder),
        milvus=MilvusTarget(
            uri=milvus.uri,
            database=milvus.database,
            collection=collection_name(index.namespace, index.name, record.release),
            metric=record.hnsw.metric,
            ef=milvus.search.ef,
            credentials_dir=MILVUS_DIR if milvus.credentials_secret_ref else None,
        ),
        catalogue=CatalogueTarget(
            url=elasticsearch.endpoint or "",
            index=elasticsearch.index,
            fields=catalogue_fields(index.spec),
            filter=elasticsearch.filter,
            credentials_dir=ELASTICSEARCH_DIR if elasticsearch.credentials_secret_ref else None,
            ca_file=f"{CA_DIR}/ca.crt" if elasticsearch.ca_secret_ref else None,
        ),
        top_k=index.spec.search.top_k,
        reuse=tuple(collection_name(r.namespace, r.index, r.release) for r in reuse),
    )


def release_file_volume(config_map: str) -> Object:
    """The volume that holds release.json."""
    return {"name": "release", "configMap": {"name": config_map}}


def store_volumes(index: SemanticSearchIndex) -> list[Object]:
    """Volumes of the referenced Secrets; a rotated one reaches the files without a restart."""
    milvus, elasticsearch = index.spec.vector_store.milvus, index.spec.catalogue.elasticsearch
    named = (
        ("milvus-credentials", milvus.credentials_secret_ref),
        ("elasticsearch-credentials", elasticsearch.credentials_secret_ref),
        ("elasticsearch-ca", elasticsearch.ca_secret_ref),
    )
    return [{"name": name, "secret": {"secretName": ref.name}} for name, ref in named if ref]


def store_mounts(index: SemanticSearchIndex) -> list[Object]:
    """Where these volumes, and release.json, appear in a container."""
    places = {
        "milvus-credentials": MILVUS_DIR,
        "elasticsearch-credentials": ELASTICSEARCH_DIR,
        "elasticsearch-ca": CA_DIR,
    }
    mounts = [{"name": "release", "mountPath": RELEASE_DIR, "readOnly": True}]
    return mounts + [
        {"name": volume["name"], "mountPath": places[volume["name"]], "readOnly": True}
        for volume in store_volumes(index)
    ]

"""What follows from a spec: the encoder's identity, its release, the samples' meaning."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from search_operator.api import (
    InvalidResource,
    SemanticSearchIndex,
    Spec,
    catalogue_fields,
    desired_release,
    encoder_identity,
    hnsw_index,
)
from search_operator.api.derive import encoder_source
from search_plane.release.identity import EncoderIdentity
from search_plane.release.models import KNOWN_MODELS
from search_plane.release.record import EncoderSource, HnswIndex

from tests.cluster.resource_base import DIGEST, OTHER_DIGEST, at, changed, valid_index
from tests.testbed.weights.bge import bge_identity

SAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "samples"


def _spec(*changes: dict[str, Any]) -> Spec:
    index = valid_index()
    for change in changes:
        index = changed(index, change)
    return SemanticSearchIndex.parse(index).spec


def test_a_known_model_brings_its_properties() -> None:
    assert encoder_identity(_spec(at("spec.encoder.model", "multilingual-e5-base"))) == EncoderIdentity(
        model="multilingual-e5-base",
        revision="1.0.0",
        weights=f"image:sha256:{DIGEST}",
        dimension=768,
        pooling="mean",
        normalize=True,
        query_prefix="query: ",
        document_prefix="passage: ",
        max_tokens=512,
        precision="fp16",
        text_template="{brand} {title} {category}",
    )


@pytest.mark.parametrize("model", KNOWN_MODELS)
def test_every_known_model_has_an_identity(model: str) -> None:
    identity = encoder_identity(_spec(at("spec.encoder.model", model)))
    assert identity.dimension == KNOWN_MODELS[model].dimension
    assert identity.pooling == KNOWN_MODELS[model].pooling


def test_custom_overrides_what_the_model_is_known_for() -> None:
    identity = encoder_identity(
        _spec(
            at("spec.encoder.model", "multilingual-e5-base"),
            at("spec.encoder.custom", {"queryPrefix": "", "pooling": "cls", "normalize": False}),
            at("spec.encoder.maxTokens", 64),
        )
    )
    assert (identity.query_prefix, identity.document_prefix) == ("", "passage: ")
    assert (identity.pooling, identity.normalize, identity.max_tokens) == ("cls", False, 64)


def test_a_described_model_needs_no_catalogue() -> None:
    described = {"model": "ours", "custom": {"dimension": 384, "pooling": "cls"}, "maxTokens": 128}
    identity = encoder_identity(_spec(at("spec.encoder", described)))
    assert (identity.model, identity.dimension, identity.max_tokens) == ("ours", 384, 128)


@pytest.mark.parametrize("missing", ["dimension", "pooling", "maxTokens"])
def test_a_model_that_is_half_described_is_refused(missing: str) -> None:
    described = {"model": "ours", "custom": {"dimension": 384, "pooling": "cls"}, "maxTokens": 128}
    path = missing if missing == "maxTokens" else f"custom.{missing}"
    with pytest.raises(InvalidResource, match=r"custom\.dimension, custom\.pooling and maxTokens"):
        encoder_identity(_spec(at("spec.encoder", described), at(f"spec.encoder.{path}", None)))


@pytest.mark.parametrize(
    "source",
    [
        {"image": "registry.example/w:1"},
        {"image": None, "bakedIn": {}},
        {"image": None, "persistentVolumeClaim": {"claimName": "weights"}},
    ],
)
def test_the_artefacts_digest_is_the_identity_wherever_it_lies(source: dict[str, Any]) -> None:
    identity = encoder_identity(_spec(at("spec.encoder.weights", {**source, "sha256": OTHER_DIGEST})))
    assert identity.weights == f"artefact:sha256:{OTHER_DIGEST}"


def test_weights_without_a_pin_have_no_identity() -> None:
    with pytest.raises(InvalidResource, match="not pinned"):
        encoder_identity(_spec(at("spec.encoder.weights", {"image": "registry.example/w:1"})))


@pytest.mark.parametrize(
    "change",
    [
        at("spec.encoder.model", "m3e-small"),
        at("spec.encoder.revision", "2"),
        at("spec.encoder.weights.sha256", OTHER_DIGEST),
        at("spec.encoder.precision", "fp32"),
        at("spec.encoder.maxTokens", 64),
        at("spec.encoder.custom.documentPrefix", "商品："),
        at("spec.catalogue.elasticsearch.textTemplate", "{title}"),
        at("spec.vectorStore.milvus.index.m", 32),
        at("spec.vectorStore.milvus.shards", 8),
        at("spec.vectorStore.milvus.replicas", 1),
    ],
)
def test_what_shapes_vectors_or_the_collection_makes_another_release(change: dict[str, Any]) -> None:
    assert desired_release(_spec(change)) != desired_release(_spec())


@pytest.mark.parametrize(
    "change",
    [
        at("spec.encoder.image", "registry.example/plane:2"),
        at("spec.encoder.autoscaling.maxReplicas", 8),
        at("spec.vectorStore.milvus.search.ef", 256),
        at("spec.encoder.weights.image", f"mirror.example/other@sha256:{DIGEST}"),
    ],
)
def test_what_does_not_shape_them_leaves_the_release(change: dict[str, Any]) -> None:
    assert desired_release(_spec(change)) == desired_release(_spec())


def test_each_full_rebuild_is_another_release() -> None:
    names = {
        desired_release(_spec(), rebuild) for rebuild in ("", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z")
    }
    assert len(names) == 3


def test_the_source_says_where_the_encoders_bytes_come_from() -> None:
    image = f"registry.example/encoders/m3e-base@sha256:{DIGEST}"
    assert encoder_source(_spec()) == EncoderSource(weights_image=image)
    claim = at(
        "spec.encoder.weights",
        {"image": None, "persistentVolumeClaim": {"claimName": "weights", "path": "/v2"}, "sha256": DIGEST},
    )
    assert encoder_source(_spec(claim)) == EncoderSource(weights_claim="weights", weights_path="/v2")
    baked = at("spec.encoder.weights", {"image": None, "bakedIn": {}, "sha256": DIGEST})
    own = at("spec.encoder.image", "registry.example/encoder:1")
    assert encoder_source(_spec(baked, own)) == EncoderSource(
        image="registry.example/encoder:1", weights_path="/models"
    )


def test_the_index_and_the_fields_reach_the_data_plane() -> None:
    spec = _spec(
        at("spec.vectorStore.milvus.index", {"metric": "IP", "m": 16, "efConstruction": 100}),
        at("spec.catalogue.elasticsearch.fields", {"updatedAt": "changed"}),
    )
    assert hnsw_index(spec) == HnswIndex(metric="IP", m=16, ef_construction=100)
    assert catalogue_fields(spec).updated_at == "changed"
    assert catalogue_fields(spec).id == "sku"


def test_the_demos_sample_pins_the_artefact_that_the_testbed_makes() -> None:
    sample = yaml.safe_load((SAMPLES / "products.yaml").read_text())
    assert encoder_identity(SemanticSearchIndex.parse(sample).spec) == bge_identity()


def test_the_production_sample_is_short_and_has_the_figures_of_the_use_case() -> None:
    text = (SAMPLES / "production.yaml").read_text()
    assert len(text.splitlines()) <= 26
    spec = SemanticSearchIndex.parse(yaml.safe_load(text)).spec
    scaling, milvus = spec.encoder.autoscaling, spec.vector_store.milvus
    assert (scaling.min_replicas, scaling.max_replicas) == (4, 12)
    assert (milvus.shards, milvus.replicas, milvus.search.ef) == (4, 2, 128)
    assert hnsw_index(spec) == HnswIndex(metric="COSINE", m=64, ef_construction=200)
    assert spec.cost is not None
    assert spec.cost.monthly_cap == "5000"

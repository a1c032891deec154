"""The catalogue of known encoder models: what an index may name without spelling out the model's properties.

The figures are those of each model's public card or configuration files; `source` names it. The dimension and
pooling are also written in an artefact's manifest, and the encoder refuses to start where the two differ.
"""

from collections.abc import Mapping
from types import MappingProxyType

from search_plane.release.identity import Frozen, Pooling


class KnownModel(Frozen):
    """Properties of one model.

    `dimension` counts float32 components; `max_tokens` counts tokens, special ones included, after which a
    text is cut; the prefixes are put before a query or a document before it is tokenised.
    """

    name: str
    dimension: int
    pooling: Pooling
    query_prefix: str = ""
    document_prefix: str = ""
    max_tokens: int
    licence: str
    source: str


# The card says that much of the training data is for research only, so the models are too; there is no other
# licence. Whoever sells with it decides with a lawyer, or names another model.
_M3E_LICENCE = "research only, by the model card"

_MODELS = (
    KnownModel(
        name="m3e-base",
        dimension=768,
        pooling="mean",
        max_tokens=512,
        licence=_M3E_LICENCE,
        source="model card moka-ai/m3e-base (110M parameters, 768 dimensions); mean pooling",
    ),
    KnownModel(
        name="m3e-small",
        dimension=512,
        pooling="mean",
        max_tokens=512,
        licence=_M3E_LICENCE,
        source="model card moka-ai/m3e-small (24M parameters, 512 dimensions); mean pooling",
    ),
    KnownModel(
        name="multilingual-e5-base",
        dimension=768,
        pooling="mean",
        query_prefix="query: ",
        document_prefix="passage: ",
        max_tokens=512,
        licence="MIT",
        source="model card intfloat/multilingual-e5-base: average pooling, each text starts with a prefix",
    ),
    KnownModel(
        name="text2vec-base-chinese",
        dimension=768,
        pooling="mean",
        max_tokens=128,
        licence="Apache-2.0",
        source="model card shibing624/text2vec-base-chinese: at most 128 tokens, mean pooling, 768",
    ),
    # The card's query instruction is optional since v1.5; without it the query costs 15 tokens less.
    KnownModel(
        name="bge-small-zh-v1.5",
        dimension=512,
        pooling="cls",
        max_tokens=512,
        licence="MIT",
        source="model card BAAI/bge-small-zh-v1.5: CLS pooling, 512 dimensions, optional query instruction",
    ),
    # The card asks for an instruction only where short queries seek long passages; product titles are short.
    KnownModel(
        name="bge-small-zh",
        dimension=512,
        pooling="cls",
        max_tokens=512,
        licence="MIT",
        source="model card BAAI/bge-small-zh: CLS pooling, 512 dimensions, instruction for long passages only",
    ),
)

KNOWN_MODELS: Mapping[str, KnownModel] = MappingProxyType({model.name: model for model in _MODELS})


def known_model(name: str) -> KnownModel:
    """The model of that name. Raises KeyError with a sentence that lists the known names."""
    try:
        return KNOWN_MODELS[name]
    except KeyError:
        raise KeyError(f"unknown model {name!r}; known are {', '.join(sorted(KNOWN_MODELS))}") from None

"""The encoder: which model, from where, how precise, on what hardware, how many."""

from typing import Annotated, Literal

from pydantic import Field
from search_plane.release.models import KNOWN_MODELS

from search_operator.api.autoscaling import Autoscaling
from search_operator.api.kubernetes import Resources, Toleration
from search_operator.api.schema import ApiModel, Cel, atomic, rules
from search_operator.api.values import AbsolutePath, Image, ObjectName

_KNOWN = ", ".join(f"'{name}'" for name in KNOWN_MODELS)


class CustomModel(ApiModel):
    """Properties of a model; what is given here overrides what the model is known for."""

    dimension: Annotated[int, Field(ge=2, le=32768)] | None = None
    """Float components of a vector."""
    pooling: Literal["mean", "cls"] | None = None
    """How token vectors become one."""
    normalize: bool = True
    """Whether vectors are scaled to length 1."""
    query_prefix: Annotated[str, Field(max_length=256)] | None = None
    """Text before every query, e.g. "query: "."""
    document_prefix: Annotated[str, Field(max_length=256)] | None = None
    """Text before every document, e.g. "passage: "."""


class ClaimWeights(ApiModel):
    """Weights on a volume that is already there."""

    claim_name: ObjectName
    """PersistentVolumeClaim of this namespace; mounted read-only."""
    path: AbsolutePath = "/"
    """Folder of the artefact inside the volume."""


class BakedWeights(ApiModel):
    """Weights inside the encoder's own image."""

    path: AbsolutePath = "/models"
    """Folder of the artefact inside the image."""


PINNED = Cel(
    "has(self.sha256) || (has(self.image) && self.image.contains('@sha256:'))",
    "weights is not pinned: add sha256 (of the artefact's manifest.json), or name the image by its "
    "digest, e.g. registry.example/encoders/m3e-base@sha256:<64 hex digits>",
    ".sha256",
)
"""A rule for weights."""
Sha256 = Annotated[
    str,
    Field(max_length=80),
    Cel(
        "self.matches('^[0-9a-f]{64}$')",
        "must be 64 small hex digits, as sha256sum prints them for the artefact's manifest.json",
    ),
]


class Weights(ApiModel):
    """Where the artefact (manifest.json, model.onnx, tokenizer.json, probes.json) comes from, and its pin."""

    model_config = rules(
        Cel(
            "[has(self.image), has(self.persistentVolumeClaim), has(self.bakedIn)].filter(x, x).size() == 1",
            "weights needs exactly one of image, persistentVolumeClaim and bakedIn",
        ),
        PINNED,
    )

    image: Annotated[Image, Field(min_length=1)] | None = None
    """OCI image whose root is the artefact; mounted read-only as an image volume."""
    persistent_volume_claim: ClaimWeights | None = None
    """A volume that holds the artefact."""
    baked_in: BakedWeights | None = None
    """The artefact lies in the encoder's image."""
    sha256: Sha256 | None = None
    """sha256 of the artefact's manifest.json, which the encoder checks; needed unless image is by digest."""


class Batching(ApiModel):
    """How requests share one pass through the model."""

    max_batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Texts in one pass."""
    max_batch_tokens: Annotated[int, Field(ge=16, le=1048576)] = 1024
    """Tokens in one pass, padding included."""


_T4 = {"accelerator": "nvidia-tesla-t4"}
_GPU_TAINT = (Toleration(key="nvidia.com/gpu", operator="Exists"),)


class Accelerator(ApiModel):
    """The device of one encoder pod; with count 0 it runs on CPU, and the T4 defaults do not apply."""

    resource: Annotated[
        str,
        Field(min_length=3, max_length=128),
        Cel(
            "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",
            "must be the name of an extended resource, e.g. nvidia.com/gpu",
        ),
    ] = "nvidia.com/gpu"
    """Extended resource that a device plugin offers."""
    count: Annotated[int, Field(ge=0, le=16)] = 1
    """Devices per pod; 0 means CPU."""
    node_selector: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)] = _T4
    """Node labels that encoder pods ask for."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16), atomic()] = _GPU_TAINT
    """Taints that encoder pods tolerate."""

    def effective_node_selector(self) -> dict[str, str]:
        """The node selector to render: a CPU encoder does not inherit the default T4 label."""
        return {} if self.count == 0 and self.node_selector == _T4 else dict(self.node_selector)

    def effective_tolerations(self) -> tuple[Toleration, ...]:
        """The tolerations to render: a CPU encoder does not inherit the default GPU toleration."""
        return () if self.count == 0 and self.tolerations == _GPU_TAINT else self.tolerations


class Encoder(ApiModel):
    """The encoder that turns texts into vectors."""

    model_config = rules(
        Cel(
            f"self.model in [{_KNOWN}] || (has(self.custom) && has(self.custom.dimension)"
            " && has(self.custom.pooling) && has(self.maxTokens))",
            f"model is not known; write one of {', '.join(KNOWN_MODELS)}, or describe it: "
            "custom.dimension, custom.pooling and maxTokens",
            ".model",
        ),
        Cel(
            "!has(self.maxTokens) || self.batching.maxBatchTokens >= self.maxTokens",
            "batching.maxBatchTokens is below maxTokens, so the longest text fits no batch; raise it",
            ".batching",
        ),
    )

    model: Annotated[
        str,
        Field(min_length=1, max_length=128),
        Cel(
            "self.matches('^[A-Za-z0-9][A-Za-z0-9._/-]*$')",
            "must be a model's name of ASCII letters, digits, dots and dashes, e.g. m3e-base",
        ),
    ]
    """A known model, e.g. m3e-base, or the name of one that custom describes."""
    revision: Annotated[
        str,
        Field(min_length=1, max_length=64),
        Cel("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')", "must be a version's name, e.g. 1.0.0 or v1.5"),
    ] = "1.0.0"
    """Your name for this version of the weights; another revision is another fingerprint."""
    weights: Weights
    """Where the weights come from."""
    custom: CustomModel | None = None
    """Properties of a model that is not known, or that differ from what it is known for."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)] | None = None
    """Tokens after which a text is cut; by default the model's own limit."""
    precision: Literal["fp32", "fp16", "int8"] = "fp16"
    """Precision of the weights."""
    image: Image = ""
    """Image of the encoder server; empty means the operator's own."""
    batching: Batching = Batching()
    """How requests are batched."""
    accelerator: Accelerator = Accelerator()
    """The device of each encoder: a T4 by default."""
    resources: Resources = Resources(requests={"cpu": "2", "memory": "4Gi"}, limits={"memory": "8Gi"})
    """CPU and memory of each encoder."""
    autoscaling: Autoscaling = Autoscaling()
    """How many encoders run: 4 to 12 by default."""

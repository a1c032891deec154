"""The re-ranker: a cross-encoder of its own that orders the first hits anew."""

from typing import Annotated

from pydantic import Field

from search_operator.api.encoder import PINNED, Sha256
from search_operator.api.encoder import ClaimWeights as Claim
from search_operator.api.kubernetes import Resources
from search_operator.api.schema import ApiModel, Cel, rules
from search_operator.api.values import AbsolutePath, Duration, Image, Ratio, at_least, at_most


class BakedReranker(ApiModel):
    """Weights inside the re-ranker's own image."""

    path: AbsolutePath = "/reranker"
    """Folder of the artefact inside the image; the encoder's lies in /models."""


class RerankerWeights(ApiModel):
    """Where the artefact that `encoder export-reranker` writes comes from, and its pin."""

    model_config = rules(
        Cel(
            "[has(self.image), has(self.persistentVolumeClaim), has(self.bakedIn)].filter(x, x).size() == 1",
            "weights needs exactly one of image, persistentVolumeClaim and bakedIn",
        ),
        PINNED,
    )

    image: Annotated[Image, Field(min_length=1)] | None = None
    """OCI image whose root is the artefact; mounted read-only as an image volume."""
    persistent_volume_claim: Claim | None = None
    """A volume that holds the artefact."""
    baked_in: BakedReranker | None = None
    """The artefact lies in the re-ranker's image."""
    sha256: Sha256 | None = None
    """sha256 of the artefact's manifest.json, which the re-ranker checks; needed unless image is by digest."""


class Reranker(ApiModel):
    """A cross-encoder that orders the first hits anew, in pods of its own; it is the first to give way."""

    model_config = rules(
        Cel(
            "!self.enabled || has(self.weights)",
            "an enabled reranker needs weights; name the artefact's image, volume or folder, or write enabled: false",
            ".weights",
        ),
        Cel(
            "self.results <= self.candidates",
            "results is above candidates; lower results or raise candidates",
            ".results",
            "'results %d is above candidates %d; lower results or raise candidates'"
            ".format([self.results, self.candidates])",
        ),
    )

    enabled: bool = False
    """Whether it runs."""
    model: Annotated[str, Field(min_length=1, max_length=128)] = "ms-marco-minilm-l-12-v2"
    """Its model's name, for people."""
    weights: RerankerWeights | None = None
    """Where its weights come from."""
    image: Image = ""
    """Image of the server; empty means the operator's own."""
    candidates: Annotated[int, Field(ge=1, le=256)] = 100
    """Hits that it looks at."""
    results: Annotated[int, Field(ge=1, le=256)] = 10
    """Hits that it returns in its order; the others follow as they were."""
    max_share: Ratio = "0.05"
    """Share of queries that it may take."""
    cohort_share: Ratio = "0"
    """Share of users whose queries are re-ranked unasked, always the same ones; others are where they ask for it."""
    timeout: Annotated[Duration, at_least("5ms"), at_most("2s")] = "100ms"
    """How long a query waits for it; then the order stays as it was."""
    max_queue_tokens: Annotated[int, Field(ge=1, le=1048576)] = 12800
    """Tokens that may wait in each re-ranker; what is beyond is refused at once."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Re-rankers that run; the bill counts each as an encoder."""
    devices: Annotated[int, Field(ge=0, le=16)] | None = None
    """Devices per pod, of encoder.accelerator's resource and nodes; 0 means CPU. By default as many as an encoder has."""
    resources: Resources = Resources(requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "4Gi"})
    """CPU and memory of each re-ranker."""

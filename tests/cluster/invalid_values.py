"""Malformed values at every place where a value of that kind may stand; continues the table of invalid resources."""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.cluster.invalid_row import Invalid
from tests.cluster.resource_base import Json, at, changed

_MILVUS = "spec.vectorStore.milvus"
_ELASTIC = "spec.catalogue.elasticsearch"
_GATES = "spec.rollout.gates"
_ENTRY = "spec.search.entry"

_BACKUP = at("spec.backup.destination", "s3://backups/products")
_PREWARM = "spec.encoder.autoscaling.prewarm"
_WINDOW: Json = {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12}

# What must stand beside a field so that nothing else is amiss.
_BESIDE: dict[str, Json] = {
    "spec.backup": _BACKUP,
    f"{_ENTRY}.ingress": at(f"{_ENTRY}.ingress.host", "search.example.com"),
}

RATIOS = (
    f"{_GATES}.minRecallAtK",
    f"{_GATES}.minOverlapAt10",
    f"{_GATES}.maxZeroResultRate",
    "spec.search.hybrid.semanticWeight",
    "spec.search.hybrid.keywordWeight",
    "spec.search.reranker.maxShare",
    "spec.search.reranker.cohortShare",
    "spec.search.experiment.semanticShare",
)
DURATIONS = (
    f"{_GATES}.maxP95",
    "spec.rollout.retain",
    "spec.rollout.watch",
    "spec.search.breaker.latency",
    "spec.search.breaker.window",
    "spec.search.reranker.timeout",
    "spec.slo.p50",
    "spec.slo.p95",
    "spec.slo.p99",
)
AMOUNTS = (
    "spec.slo.availability",
    "spec.cost.monthlyCap",
    "spec.cost.prices.encoderNodeHour",
    "spec.cost.prices.milvusNodes.nodeHour",
    "spec.cost.prices.storageGiBMonth",
)
OBJECT_NAMES = (
    f"{_MILVUS}.clusterRef.name",
    f"{_MILVUS}.credentialsSecretRef.name",
    f"{_ELASTIC}.clusterRef.name",
    f"{_ELASTIC}.credentialsSecretRef.name",
    f"{_ELASTIC}.caSecretRef.name",
    "spec.backup.credentialsSecretRef.name",
    "spec.search.log.saltSecretRef.name",
    "spec.search.reranker.weights.persistentVolumeClaim.claimName",
    f"{_ENTRY}.ingress.tlsSecretName",
)
DOCUMENT_FIELDS = tuple(
    f"{_ELASTIC}.fields.{name}"
    for name in ("id", "title", "brand", "category", "price", "stock", "updatedAt")
)
RESOURCES = ("spec.encoder.resources", "spec.search.resources", "spec.search.reranker.resources")
IMAGES = ("spec.search.reranker.image", "spec.search.reranker.weights.image")


def _rows(kind: str, paths: Iterable[str], value: Any, says: str) -> Iterator[Invalid]:
    for path in paths:
        beside = next((patch for start, patch in _BESIDE.items() if path.startswith(start)), {})
        yield Invalid(f"{kind}:{path}", changed(beside, at(path, value)), path, says)


def _windows() -> Iterator[Invalid]:
    wrong = (
        ("start", "10 November", "5 cron fields"),
        ("start", "０ 18 10 11 *", "half width"),
        ("duration", "two days", "duration"),
        ("timeZone", "Asia/Pekin", "that exists"),
        ("timeZone", "Beijing time", "IANA time zone"),
        ("replicas", 0, "greater than or equal to 1"),
    )
    for name, value, says in wrong:
        window = {**_WINDOW, name: value}
        yield Invalid(f"window:{name}={value}", at(_PREWARM, [window]), f"{_PREWARM}[0].{name}", says)


def _resources() -> Iterator[Invalid]:
    for path in RESOURCES:
        for side in ("requests", "limits"):
            gpu = at(f"{path}.{side}", {"nvidia.com/gpu": 1})
            yield Invalid(f"gpu:{path}.{side}", gpu, f"{path}.{side}", "may name cpu, memory")
            wrong = at(f"{path}.{side}", {"memory": "1 GB"})
            yield Invalid(f"quantity:{path}.{side}", wrong, f"{path}.{side}", "Kubernetes quantity")
        for name, request, limit in (("cpu", "2", "1500m"), ("memory", "2Gi", "1Gi")):
            pair = at(path, {"requests": {name: request}, "limits": {name: limit}})
            yield Invalid(f"{name}-above:{path}", pair, f"{path}.requests", f"requests.{name} is above")


INVALID_VALUES: tuple[Invalid, ...] = (
    *_rows("ratio", RATIOS, "1.5", "between 0 and 1"),
    *_rows("wide-ratio", RATIOS, "０.5", "half width"),
    *(
        Invalid(
            f"drop:{value}",
            at(f"{_GATES}.judgedQueries", {"configMapRef": {"name": "judged"}, "maxNdcgDrop": value}),
            f"{_GATES}.judgedQueries.maxNdcgDrop",
            says,
        )
        for value, says in (("1%", "between 0 and 1"), ("０", "half width"))
    ),
    *_rows("judged-name", [f"{_GATES}.judgedQueries.configMapRef.name"], "a/b", "in this namespace"),
    *_rows("duration", DURATIONS, "1 day", "duration"),
    *_rows("amount", AMOUNTS, "5k", "decimal number"),
    *_rows("wide-amount", AMOUNTS, "５", "half width"),
    *_rows("image", IMAGES, "re ranker:1", "image reference"),
    *_rows("object-name", OBJECT_NAMES, "other/secret", "in this namespace"),
    *_rows("document-field", DOCUMENT_FIELDS, "价格", "ASCII letters"),
    *_rows("cron", ["spec.backup.schedule"], "daily", "5 cron fields"),
    *_rows("wide-cron", ["spec.backup.schedule"], "０ 2 * * *", "half width"),
    *_rows("zone", ["spec.backup.timeZone"], "GMT+8", "IANA time zone"),
    *_rows("no-zone", ["spec.backup.timeZone", "spec.cost.timeZone"], "Asia/Pekin", "that exists"),
    *_rows("bucket", ["spec.backup.destination"], "s3://Backups", "s3://bucket/prefix"),
    Invalid(
        "claim-path-relative",
        at(
            "spec.encoder.weights",
            {
                "image": None,
                "persistentVolumeClaim": {"claimName": "w", "path": "models"},
                "sha256": "a" * 64,
            },
        ),
        "spec.encoder.weights.persistentVolumeClaim.path",
        "absolute path",
    ),
    *_windows(),
    *_resources(),
)

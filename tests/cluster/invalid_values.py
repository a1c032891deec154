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
    "spec.cost.prices.reserved": at("spec.cost.prices.reserved.count", 2),
    "spec.cost.prices.elasticsearchNodes": at("spec.cost.prices.elasticsearchNodes.count", 3),
    "spec.cost.pricesConfigMapRef": at("spec.cost.prices", None),
    "spec.cost.prices.storageGiBMonth": at("spec.cost.prices.storageGiB", 61),
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
_SCALING = "spec.encoder.autoscaling"
PERIODS = (f"{_SCALING}.scaleUp.period", f"{_SCALING}.scaleDown.period")
SCALING_TIMES = (*PERIODS, f"{_SCALING}.scaleDown.stabilizationWindow")
DURATIONS = (
    *SCALING_TIMES,
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
    "spec.cost.prices.spotNodeHour",
    "spec.cost.prices.reserved.nodeHour",
    "spec.cost.prices.elasticsearchNodes.nodeHour",
    "spec.cost.prices.rerankerNodeHour",
    "spec.cost.prices.gatewayHour",
    "spec.cost.prices.storageGiBMonth",
    "spec.cost.prices.backupMonth",
)
OBJECT_NAMES = (
    f"{_MILVUS}.clusterRef.name",
    f"{_MILVUS}.credentialsSecretRef.name",
    f"{_ELASTIC}.clusterRef.name",
    f"{_ELASTIC}.credentialsSecretRef.name",
    f"{_ELASTIC}.caSecretRef.name",
    "spec.backup.credentialsSecretRef.name",
    "spec.cost.pricesConfigMapRef.name",
    "spec.search.log.saltSecretRef.name",
    "spec.search.reranker.weights.persistentVolumeClaim.claimName",
    f"{_ENTRY}.ingress.tlsSecretName",
)
PROMETHEUS = (f"{_SCALING}.prometheusAddress",)
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
        ("start", "2026-11-10 20:00", "5 cron fields"),
        ("start", "*/5 20 10 11 *", "more than once an hour"),
        ("start", "0,30 20 10 11 *", "more than once an hour"),
        ("start", "2026-11-10T20:00:00", "RFC 3339"),
        ("start", "2026-02-30T20:00:00Z", "day that exists"),
        ("start", "0 18 10-9 11 *", "runs backwards"),
        ("duration", "two days", "duration"),
        ("duration", "0s", "1m or longer"),
        ("duration", "2161h", "2160h or shorter"),
        ("lead", "25h", "24h or shorter"),
        ("lead", "five minutes", "duration"),
        ("timeZone", "Asia/Pekin", "that exists"),
        ("timeZone", "Beijing time", "IANA time zone"),
        ("replicas", 0, "greater than or equal to 1"),
    )
    for name, value, says in wrong:
        window = {**_WINDOW, name: value}
        yield Invalid(f"window:{name}={value}", at(_PREWARM, [window]), f"{_PREWARM}[0].{name}", says)
    many = {**_WINDOW, "replicas": 13}
    yield Invalid("window-above-maximum", at(_PREWARM, [many]), _PREWARM, "more replicas than maxReplicas")


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
    *_rows("finer-than-seconds", SCALING_TIMES, "1500ms", "whole seconds"),
    *_rows("too-short", PERIODS, "0s", "1s or longer"),
    *_rows("too-long", PERIODS, "31m", "30m or shorter"),
    *_rows("too-long", SCALING_TIMES[2:], "61m", "1h or shorter"),
    *_rows("without-scheme", PROMETHEUS, "prometheus:9090", "http or https URL"),
    *_rows("wide", PROMETHEUS, "http://prometheus：9090", "half width"),
    *_rows("with-credentials", PROMETHEUS, "http://a:b@prometheus:9090", "must not hold credentials"),
    *_rows("metadata-address", PROMETHEUS, "http://169.254.169.254", "link-local or metadata"),
    *_rows("amount", AMOUNTS, "5k", "decimal number"),
    *_rows("wide-amount", AMOUNTS, "５", "half width"),
    *_rows("image", IMAGES, "re ranker:1", "image reference"),
    *_rows("object-name", OBJECT_NAMES, "other/secret", "in this namespace"),
    *_rows("document-field", DOCUMENT_FIELDS, "价格", "ASCII letters"),
    *_rows("cron", ["spec.backup.schedule"], "daily", "5 cron fields"),
    *_rows("wide-cron", ["spec.backup.schedule"], "０ 2 * * *", "half width"),
    *_rows("zone", ["spec.backup.timeZone"], "GMT+8", "IANA time zone"),
    *_rows("no-zone", ["spec.backup.timeZone", "spec.cost.timeZone"], "Asia/Pekin", "that exists"),
    *_rows("yuan", ["spec.cost.prices.currency"], "RMB", "CNY (not RMB)"),
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

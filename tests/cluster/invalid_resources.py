"""Resources that the API server must refuse: what is wrong, where the error points, and what it must say."""

from typing import Any

from tests.cluster.invalid_row import Invalid
from tests.cluster.invalid_search import INVALID_SEARCH
from tests.cluster.resource_base import DIGEST, at

ENCODER = "spec.encoder"
MILVUS = "spec.vectorStore.milvus"
ELASTIC = "spec.catalogue.elasticsearch"
WEIGHTS = f"{ENCODER}.weights"
OPEN_COST = "spec.cost.openCost"
SCALING = f"{ENCODER}.autoscaling"
NOT_SERVED = "is not served by this version"


def _wrong(id: str, path: str, value: Any, says: str, error_at: str | None = None) -> Invalid:
    """A row in which one field has a wrong value; the error is at that field unless told otherwise."""
    return Invalid(id, at(path, value), path if error_at is None else error_at, says)


_REQUIRED = "Required value"

NAME = (
    _wrong("name-too-long", "metadata.name", "p" * 41, "longer than 40 characters", "metadata.name"),
    _wrong("name-with-dot", "metadata.name", "products.cn", "must hold no dots", "metadata.name"),
    _wrong("name-with-two-dashes", "metadata.name", "a--b", "write a single dash", "metadata.name"),
)
REQUIRED = (
    _wrong("no-spec", "spec", None, _REQUIRED),
    _wrong("no-encoder", ENCODER, None, _REQUIRED),
    _wrong("no-model", f"{ENCODER}.model", None, _REQUIRED),
    _wrong("no-weights", WEIGHTS, None, _REQUIRED),
    _wrong("no-vector-store", "spec.vectorStore", None, _REQUIRED),
    _wrong("no-milvus", MILVUS, None, _REQUIRED),
    _wrong("no-catalogue", "spec.catalogue", None, _REQUIRED),
    _wrong("no-catalogue-index", f"{ELASTIC}.index", None, _REQUIRED),
    _wrong("no-milvus-endpoint", f"{MILVUS}.endpoint", None, "write host:port"),
    _wrong("no-elasticsearch-endpoint", f"{ELASTIC}.endpoint", None, "write a URL"),
    _wrong("prices-without-date", "spec.cost.prices.asOf", None, _REQUIRED),
    _wrong("prices-without-encoder", "spec.cost.prices.encoderNodeHour", None, _REQUIRED),
)
MODEL = (
    _wrong("unknown-model", f"{ENCODER}.model", "m3e-huge", "write one of m3e-base, m3e-small"),
    _wrong("model-in-full-width", f"{ENCODER}.model", "ｍ3e-base", "ASCII letters"),
    _wrong("empty-model", f"{ENCODER}.model", "", "at least 1 chars"),
    Invalid(
        "custom-without-dimension",
        at(ENCODER, {"model": "ours", "custom": {"pooling": "mean"}, "maxTokens": 128}),
        f"{ENCODER}.model",
        "custom.dimension",
    ),
    Invalid(
        "custom-without-pooling",
        at(ENCODER, {"model": "ours", "custom": {"dimension": 768}, "maxTokens": 128}),
        f"{ENCODER}.model",
        "custom.pooling",
    ),
    Invalid(
        "custom-without-max-tokens",
        at(ENCODER, {"model": "ours", "custom": {"dimension": 768, "pooling": "cls"}}),
        f"{ENCODER}.model",
        "maxTokens",
    ),
    _wrong(
        "pooling-max", f"{ENCODER}.custom", {"pooling": "max"}, '"mean", "cls"', f"{ENCODER}.custom.pooling"
    ),
    _wrong("dimension-1", f"{ENCODER}.custom", {"dimension": 1}, "greater than or equal to 2"),
    _wrong("max-tokens-0", f"{ENCODER}.maxTokens", 0, "greater than or equal to 8"),
    _wrong("revision-with-space", f"{ENCODER}.revision", "1 0", "version's name"),
    _wrong("precision-bf16", f"{ENCODER}.precision", "bf16", '"fp32", "fp16", "int8"'),
    _wrong(
        "encoder-image-with-scheme", f"{ENCODER}.image", "https://registry.example/e:1", "image reference"
    ),
)
WEIGHTS_ROWS = (
    _wrong("weights-without-source", f"{WEIGHTS}.image", None, "exactly one of image", WEIGHTS),
    Invalid(
        "weights-from-two-sources",
        at(WEIGHTS, {"bakedIn": {"path": "/models"}}),
        WEIGHTS,
        "exactly one of image",
    ),
    _wrong("weights-by-tag", f"{WEIGHTS}.image", "registry.example/e:1", "not pinned", f"{WEIGHTS}.sha256"),
    Invalid(
        "weights-on-claim-without-pin",
        at(WEIGHTS, {"image": None, "persistentVolumeClaim": {"claimName": "weights"}}),
        f"{WEIGHTS}.sha256",
        "add sha256",
    ),
    Invalid(
        "weights-baked-in-without-pin",
        at(WEIGHTS, {"image": None, "bakedIn": {}}),
        f"{WEIGHTS}.sha256",
        "add sha256",
    ),
    _wrong("sha256-with-prefix", f"{WEIGHTS}.sha256", f"sha256:{DIGEST}", "64 small hex digits"),
    _wrong("sha256-in-capitals", f"{WEIGHTS}.sha256", "A" * 64, "64 small hex digits"),
    _wrong(
        "short-image-digest",
        f"{WEIGHTS}.image",
        "registry.example/e@sha256:abc",
        "image reference",
    ),
    Invalid(
        "claim-name-in-capitals",
        at(
            WEIGHTS,
            {"image": None, "persistentVolumeClaim": {"claimName": "Weights"}, "sha256": DIGEST},
        ),
        f"{WEIGHTS}.persistentVolumeClaim.claimName",
        "name of an object in this namespace",
    ),
    Invalid(
        "weights-path-upwards",
        at(WEIGHTS, {"image": None, "bakedIn": {"path": "/models/../etc"}, "sha256": DIGEST}),
        f"{WEIGHTS}.bakedIn.path",
        "absolute path without ..",
    ),
)
HARDWARE = (
    _wrong("batch-size-0", f"{ENCODER}.batching.maxBatchSize", 0, "greater than or equal to 1"),
    Invalid(
        "batch-below-longest-text",
        at(ENCODER, {"maxTokens": 512, "batching": {"maxBatchTokens": 256}}),
        f"{ENCODER}.batching",
        "longest text fits no batch",
    ),
    _wrong("gpu-count-negative", f"{ENCODER}.accelerator.count", -1, "greater than or equal to 0"),
    _wrong("gpu-count-fraction", f"{ENCODER}.accelerator.count", 0.5, "integer"),
    _wrong("gpu-resource-unqualified", f"{ENCODER}.accelerator.resource", "gpu", "extended resource"),
    Invalid(
        "toleration-exists-with-value",
        at(f"{ENCODER}.accelerator.tolerations", [{"key": "gpu", "operator": "Exists", "value": "x"}]),
        f"{ENCODER}.accelerator.tolerations[0].value",
        "has no value",
    ),
    Invalid(
        "toleration-equal-without-key",
        at(f"{ENCODER}.accelerator.tolerations", [{"operator": "Equal", "value": "x"}]),
        f"{ENCODER}.accelerator.tolerations[0].key",
        "needs a key",
    ),
    Invalid(
        "memory-in-small-g",
        at(f"{ENCODER}.resources.requests", {"memory": "4gi"}),
        f"{ENCODER}.resources.requests",
        "Kubernetes quantity",
    ),
    Invalid(
        "cpu-negative",
        at(f"{ENCODER}.resources.requests", {"cpu": "-1"}),
        f"{ENCODER}.resources.requests",
        "Kubernetes quantity",
    ),
    Invalid(
        "cpu-in-full-width",
        at(f"{ENCODER}.resources.requests", {"cpu": "２"}),
        f"{ENCODER}.resources.requests",
        "Kubernetes quantity",
    ),
    Invalid(
        "gpu-among-resources",
        at(f"{ENCODER}.resources.limits", {"nvidia.com/gpu": 1}),
        f"{ENCODER}.resources.limits",
        "counted by encoder.accelerator",
    ),
    Invalid(
        "memory-request-above-limit",
        at(f"{ENCODER}.resources", {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
        f"{ENCODER}.resources.requests",
        "requests.memory is above limits.memory",
    ),
    Invalid(
        "gateway-cpu-request-above-limit",
        at("spec.search.resources", {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}),
        "spec.search.resources.requests",
        "requests.cpu is above limits.cpu",
    ),
)
AUTOSCALING = (
    Invalid(
        "min-above-max",
        at(SCALING, {"minReplicas": 9, "maxReplicas": 8}),
        f"{SCALING}.minReplicas",
        "minReplicas 9 is above maxReplicas 8; lower minReplicas",
    ),
    _wrong("max-below-default-min", f"{SCALING}.maxReplicas", 3, "minReplicas 4", f"{SCALING}.minReplicas"),
    _wrong("min-0", f"{SCALING}.minReplicas", 0, "greater than or equal to 1"),
    _wrong("min-in-full-width", f"{SCALING}.minReplicas", "４", "must be of type integer"),
    _wrong("scaler-vpa", f"{SCALING}.mode", "vpa", '"auto", "hpa", "keda"'),
    _wrong("target-inflight-tokens-0", f"{SCALING}.targetInflightTokens", 0, "greater than or equal to 1"),
    _wrong(
        "target-inflight-tokens-in-words",
        f"{SCALING}.targetInflightTokens",
        "1500",
        "must be of type integer",
    ),
    _wrong("scale-up-no-pods", f"{SCALING}.scaleUp.pods", 0, "greater than or equal to 1"),
    _wrong("scale-down-pods-too-many", f"{SCALING}.scaleDown.pods", 1001, "less than or equal to 1000"),
    Invalid(
        "prometheus-for-an-hpa",
        at(SCALING, {"mode": "hpa", "prometheusAddress": "http://prometheus.monitoring.svc:9090"}),
        f"{SCALING}.prometheusAddress",
        "which mode hpa never takes; write mode: keda",
    ),
)
VECTOR_STORE = (
    _wrong("milvus-without-port", f"{MILVUS}.endpoint", "milvus.stores.svc", "host:port"),
    _wrong("milvus-port-too-high", f"{MILVUS}.endpoint", "milvus:65536", "host:port"),
    _wrong("milvus-tcp", f"{MILVUS}.endpoint", "tcp://milvus:19530", "host:port"),
    _wrong("milvus-with-path", f"{MILVUS}.endpoint", "http://milvus:19530/db", "no path"),
    _wrong("milvus-full-width-colon", f"{MILVUS}.endpoint", "milvus：19530", "half width"),
    _wrong(
        "milvus-with-password", f"{MILVUS}.endpoint", "http://root:pw@milvus:19530", "credentialsSecretRef"
    ),
    _wrong("milvus-link-local", f"{MILVUS}.endpoint", "169.254.169.254:80", "link-local or metadata"),
    _wrong("milvus-link-local-v6", f"{MILVUS}.endpoint", "http://[FE80::1]:80", "link-local or metadata"),
    _wrong("milvus-mapped-v6", f"{MILVUS}.endpoint", "[::ffff:a9fe:a9fe]:80", "link-local or metadata"),
    _wrong("milvus-address-as-number", f"{MILVUS}.endpoint", "2852039166:80", "host:port"),
    _wrong("milvus-alibaba-metadata", f"{MILVUS}.endpoint", "100.100.100.200:80", "link-local or metadata"),
    Invalid(
        "milvus-secret-of-other-namespace",
        at(f"{MILVUS}.credentialsSecretRef", {"name": "other/milvus"}),
        f"{MILVUS}.credentialsSecretRef.name",
        "in this namespace",
    ),
    _wrong("database-with-dash", f"{MILVUS}.database", "my-db", "underscores"),
    _wrong("shards-0", f"{MILVUS}.shards", 0, "greater than or equal to 1"),
    _wrong("shards-17", f"{MILVUS}.shards", 17, "less than or equal to 16"),
    _wrong("replicas-0", f"{MILVUS}.replicas", 0, "greater than or equal to 1"),
    _wrong("index-ivf", f"{MILVUS}.index.type", "IVF_FLAT", '"HNSW"'),
    _wrong("metric-hamming", f"{MILVUS}.index.metric", "HAMMING", '"COSINE", "IP", "L2"'),
    _wrong("m-1", f"{MILVUS}.index.m", 1, "greater than or equal to 2"),
    _wrong("m-2049", f"{MILVUS}.index.m", 2049, "less than or equal to 2048"),
    _wrong("ef-construction-0", f"{MILVUS}.index.efConstruction", 0, "greater than or equal to 1"),
    _wrong("ef-below-default-depth", f"{MILVUS}.search.ef", 99, "ef 99 is below search.topK 100; raise ef"),
    _wrong("depth-above-default-ef", "spec.search.topK", 129, "topK 129", f"{MILVUS}.search.ef"),
)
CATALOGUE = (
    _wrong("elasticsearch-without-scheme", f"{ELASTIC}.endpoint", "es.stores.svc:9200", "http or https URL"),
    _wrong("elasticsearch-with-query", f"{ELASTIC}.endpoint", "http://es:9200/?pretty", "without query"),
    _wrong(
        "elasticsearch-with-password", f"{ELASTIC}.endpoint", "https://u:p@es:9200", "credentialsSecretRef"
    ),
    _wrong("elasticsearch-metadata", f"{ELASTIC}.endpoint", "http://169.254.169.254", "metadata address"),
    _wrong(
        "elasticsearch-google-metadata",
        f"{ELASTIC}.endpoint",
        "http://metadata.google.internal/computeMetadata",
        "metadata address",
    ),
    _wrong("elasticsearch-full-width", f"{ELASTIC}.endpoint", "https：//es:9200", "half width"),
    Invalid(
        "ca-without-tls",
        at(ELASTIC, {"endpoint": "http://es:9200", "caSecretRef": {"name": "es-ca"}}),
        f"{ELASTIC}.caSecretRef",
        "write https://",
    ),
    _wrong("catalogue-pattern", f"{ELASTIC}.index", "products-*", "no pattern or list"),
    _wrong("catalogue-in-capitals", f"{ELASTIC}.index", "Products", "small ASCII letters"),
    _wrong(
        "field-in-chinese", f"{ELASTIC}.fields", {"title": "标题"}, "ASCII letters", f"{ELASTIC}.fields.title"
    ),
    _wrong("template-without-field", f"{ELASTIC}.textTemplate", "title", "at least one placeholder"),
    _wrong("template-full-width-braces", f"{ELASTIC}.textTemplate", "｛title｝", "half width: {title}"),
    _wrong("template-open-brace", f"{ELASTIC}.textTemplate", "{brand} {title", "no placeholder"),
    _wrong("template-empty-placeholder", f"{ELASTIC}.textTemplate", "{} {title}", "no placeholder"),
    _wrong("template-position", f"{ELASTIC}.textTemplate", "{0} {title}", "no placeholder"),
    _wrong("template-format", f"{ELASTIC}.textTemplate", "{title!r} {brand}", "no placeholder"),
    _wrong("template-chinese-name", f"{ELASTIC}.textTemplate", "{标题} {title}", "in ASCII"),
    _wrong("filter-blank", f"{ELASTIC}.filter", "  ", "is blank"),
)
REFRESH = (
    _wrong("cron-4-fields", "spec.refresh.schedule", "0 3 * *", "5 cron fields"),
    _wrong("cron-6-fields", "spec.refresh.schedule", "0 0 3 * * 1", "5 cron fields"),
    _wrong("cron-minute-60", "spec.refresh.schedule", "60 3 * * 1", "5 cron fields"),
    _wrong("cron-hour-24", "spec.refresh.schedule", "0 24 * * 1", "5 cron fields"),
    _wrong("cron-day-0", "spec.refresh.schedule", "0 3 0 * *", "5 cron fields"),
    _wrong("cron-month-13", "spec.refresh.schedule", "0 3 1 13 *", "5 cron fields"),
    _wrong("cron-weekday-7", "spec.refresh.schedule", "0 3 * * 7", "0 is Sunday"),
    _wrong("cron-words", "spec.refresh.schedule", "every monday", "5 cron fields"),
    _wrong("cron-alias", "spec.refresh.schedule", "@weekly", "5 cron fields"),
    _wrong("cron-zone-inside", "spec.refresh.schedule", "TZ=UTC 0 3 * * 1", "5 cron fields"),
    _wrong("cron-backwards", "spec.refresh.schedule", "0 3 * * 5-1", "runs backwards"),
    _wrong("cron-hours-backwards", "spec.refresh.schedule", "0 22-4 * * *", "22-23,0-4"),
    _wrong("cron-full-width", "spec.refresh.schedule", "０ 3 * * 1", "half width"),
    _wrong("zone-beijing", "spec.refresh.timeZone", "Asia/Beijing", "Asia/Shanghai"),
    _wrong("zone-abbreviation", "spec.refresh.timeZone", "CST8", "IANA time zone"),
    _wrong("zone-offset", "spec.refresh.timeZone", "GMT+8", "IANA time zone"),
    _wrong("zone-that-is-none", "spec.refresh.timeZone", "Asia/Shangai", "that exists"),
    _wrong("deadline-in-days", "spec.refresh.startingDeadline", "1d", "for days write hours"),
    _wrong("deadline-in-words", "spec.refresh.startingDeadline", "six hours", "duration"),
    _wrong("deadline-too-short", "spec.refresh.startingDeadline", "5s", "10s or longer"),
    _wrong("parallelism-0", "spec.refresh.parallelism", 0, "greater than or equal to 1"),
)
ROLLOUT = (
    _wrong("parallelism-65", "spec.refresh.parallelism", 65, "less than or equal to 64"),
    _wrong("request-without-day", "spec.refresh.requestedAt", "now", "RFC 3339"),
    _wrong("request-without-clock", "spec.refresh.requestedAt", "2026-11-11", "RFC 3339"),
    _wrong("request-without-zone", "spec.refresh.requestedAt", "2026-11-11T00:00:00", "RFC 3339"),
    _wrong("request-with-space", "spec.refresh.requestedAt", "2026-11-11 00:00:00Z", "RFC 3339"),
    _wrong("request-at-24", "spec.refresh.requestedAt", "2026-11-11T24:00:00Z", "RFC 3339"),
    _wrong("request-on-no-day", "spec.refresh.requestedAt", "2026-02-30T00:00:00Z", "day that exists"),
    _wrong("refresh-mode-partial", "spec.refresh.mode", "Partial", '"Incremental", "Full"'),
    _wrong("promotion-canary", "spec.rollout.promotion", "Canary", '"Automatic", "Manual"'),
    _wrong("capacity-ignore", "spec.rollout.capacityCheck", "Ignore", '"Enforce", "Warn"'),
    _wrong("approve-collection", "spec.rollout.approvedRelease", "search__products_r_7c1f0000", "r-1a2b3c4d"),
    _wrong(
        "approve-in-capitals", "spec.rollout.approvedRelease", "r-7C1F0000", "as status.releases lists it"
    ),
    _wrong("roll-back-to-previous", "spec.rollout.rollbackTo", "previous", "as status.releases lists it"),
    _wrong("roll-back-to-short-name", "spec.rollout.rollbackTo", "r-7c1f", "8 hex digits"),
    _wrong("retain-over-30-days", "spec.rollout.retain", "721h", "720h or shorter"),
    _wrong("watch-over-a-day", "spec.rollout.watch", "24h1s", "24h or shorter"),
    Invalid(
        "retain-shorter-than-watch",
        at("spec.rollout", {"retain": "5m", "watch": "10m"}),
        "spec.rollout.retain",
        "raise retain or lower watch",
    ),
    _wrong("retain-below-default-watch", "spec.rollout.retain", "0s", "lower watch"),
    _wrong("p95-0", "spec.rollout.gates.maxP95", "0s", "1ms or longer"),
)
SEARCH = (
    _wrong("gateway-replicas-0", "spec.search.replicas", 0, "greater than or equal to 1"),
    _wrong("depth-0", "spec.search.topK", 0, "greater than or equal to 1"),
    _wrong("depth-above-milvus", "spec.search.topK", 16385, "less than or equal to 16384"),
    _wrong("gateway-image-with-space", "spec.search.image", "gateway :1", "image reference"),
)
MONEY = (
    _wrong("cap-as-number", "spec.cost.monthlyCap", 5000, "must be of type string"),
    _wrong("cap-in-full-width", "spec.cost.monthlyCap", "５０００", "half width"),
    _wrong("cap-with-comma", "spec.cost.monthlyCap", "5,000", "thousands separators"),
    _wrong("cap-with-currency", "spec.cost.monthlyCap", "$5000", "without sign, currency"),
    _wrong("cap-0", "spec.cost.monthlyCap", "0.00", "above 0"),
    _wrong("cap-below-minimum-fleet", "spec.cost.monthlyCap", "3065.27", "write at least 3066"),
    _wrong(
        "minimum-fleet-above-cap",
        f"{SCALING}.minReplicas",
        12,
        "write at least 5149",
        "spec.cost.monthlyCap",
    ),
    _wrong("price-negative", "spec.cost.prices.encoderNodeHour", "-0.35", "without sign"),
    _wrong("price-of-day-unknown", "spec.cost.prices.asOf", "01.11.2026", "year-month-day"),
    _wrong("price-of-month-13", "spec.cost.prices.asOf", "2026-13-01", "year-month-day"),
    _wrong("node-price-in-words", "spec.cost.prices.milvusNodes.nodeHour", "cheap", "decimal number"),
    _wrong("node-count-negative", "spec.cost.prices.milvusNodes.count", -1, "greater than or equal to 0"),
    _wrong("currency-rmb", "spec.cost.currency", "RMB", "CNY (not RMB)"),
    _wrong("currency-sign", "spec.cost.currency", "￥", "ISO 4217"),
    _wrong(
        "storage-price-alone",
        "spec.cost.prices.storageGiBMonth",
        "0.023",
        "belong together",
        "spec.cost.prices.storageGiB",
    ),
    _wrong(
        "spot-without-price",
        "spec.cost.prices.purchase",
        "Spot",
        "needs spotNodeHour",
        "spec.cost.prices.spotNodeHour",
    ),
    _wrong("prices-in-another-currency", "spec.cost.prices.currency", "CNY", "nothing is converted"),
    _wrong("prices-twice", "spec.cost.pricesConfigMapRef", {"name": "prices"}, "exclude each other"),
    _wrong("cost-zone", "spec.cost.timeZone", "Beijing time", "IANA time zone"),
    *(
        _wrong(f"opencost-{name}", f"{OPEN_COST}.url", url, says)
        for name, url, says in (
            ("with-password", "https://u:p@opencost:9003", "asked without any"),
            ("without-scheme", "opencost:9003", "http or https URL"),
            ("with-query", "http://opencost:9003/?window=7d", "without query"),
            ("full-width", "http：//opencost:9003", "half width"),
            ("link-local", "http://169.254.169.254/latest", "link-local or metadata"),
            ("loopback", "http://127.0.0.1:9003", "operator's own pod"),
            ("any-address", "http://0.0.0.0:9003", "operator's own pod"),
            ("loopback-v6", "http://[::1]:9003", "operator's own pod"),
            ("long-loopback-v6", "https://[0:0:0:0:0:0:0:1]", "operator's own pod"),
            ("localhost", "http://LocalHost:9003", "operator's own pod"),
            ("sub-localhost", "http://a.localhost/model", "operator's own pod"),
        )
    ),
    Invalid("opencost-without-url", at(OPEN_COST, {"currency": "USD"}), f"{OPEN_COST}.url", _REQUIRED),
    Invalid(
        "opencost-exact",
        at(OPEN_COST, {"url": "http://opencost:9003", "tolerancePercent": 0}),
        f"{OPEN_COST}.tolerancePercent",
        "greater than or equal to 1",
    ),
    Invalid(
        "opencost-in-rmb",
        at(OPEN_COST, {"url": "http://opencost:9003", "currency": "RMB"}),
        f"{OPEN_COST}.currency",
        "CNY (not RMB)",
    ),
    Invalid(
        "opencost-in-another-currency",
        at("spec.cost", {"currency": "CNY", "openCost": {"url": "http://opencost:9003"}}),
        f"{OPEN_COST}.currency",
        "nothing is converted",
    ),
    _wrong("cost-action-stop", "spec.cost.action", "Stop", '"Clamp", "Alert"'),
)
POLICY = (
    _wrong("deletion-policy-orphan", "spec.deletionPolicy", "Orphan", '"Delete", "Retain"'),
    _wrong("paused-in-words", "spec.paused", "yes", "must be of type boolean"),
)
UNSERVED = (
    _wrong("backup", "spec.backup", {"destination": "s3://backups/products"}, NOT_SERVED),
    _wrong("backup-not-s3", "spec.backup", {"destination": "/var/backups"}, "s3://bucket/prefix"),
    _wrong("milvus-by-reference", f"{MILVUS}.clusterRef", {"name": "products"}, NOT_SERVED),
    _wrong("milvus-managed", f"{MILVUS}.managed", {}, NOT_SERVED),
    _wrong("elasticsearch-by-reference", f"{ELASTIC}.clusterRef", {"name": "products"}, NOT_SERVED),
    _wrong("elasticsearch-managed", f"{ELASTIC}.managed", {}, NOT_SERVED),
    _wrong("objectives", "spec.slo", {"p95": "100ms"}, NOT_SERVED),
)

INVALID: tuple[Invalid, ...] = (
    *INVALID_SEARCH,
    *NAME,
    *REQUIRED,
    *MODEL,
    *WEIGHTS_ROWS,
    *HARDWARE,
    *AUTOSCALING,
    *VECTOR_STORE,
    *CATALOGUE,
    *REFRESH,
    *ROLLOUT,
    *SEARCH,
    *MONEY,
    *POLICY,
    *UNSERVED,
)

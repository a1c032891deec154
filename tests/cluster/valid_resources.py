"""Resources that the API server must accept, and changes that it must accept or refuse while a release is active."""

from tests.cluster.resource_base import DIGEST, OTHER_DIGEST, Json, at

ACCEPTED: dict[str, Json] = {
    "base": {},
    "name-of-40": at("metadata.name", "p" * 40),
    "retain": at("spec.deletionPolicy", "Retain"),
    "paused": at("spec.paused", True),
    "no-cost": at("spec.cost", None),
    "cost-without-prices": at("spec.cost", {"prices": None}),
    "cost-alert-in-yuan": at("spec.cost", {"action": "Alert", "currency": "CNY"}),
    "cap-equal-to-minimum-fleet": at("spec.cost.monthlyCap", "3065.28"),
    "cap-with-every-item": at(
        "spec.cost",
        {
            "timeZone": "America/New_York",
            # 2 x 0.10 beyond the reserved 2 x 0.20; 4 x 0.68; 3 x 0.50; 3 x 0.04: 4.94 an hour; 1.403 and 12 a month.
            "monthlyCap": "3688.77",
            "prices": {
                "currency": "USD",
                "purchase": "Spot",
                "spotNodeHour": "0.10",
                "reserved": {"count": 2, "nodeHour": "0.20"},
                "elasticsearchNodes": {"count": 3, "nodeHour": "0.5"},
                "gatewayHour": "0.04",
                "storageGiB": 61,
                "storageGiBMonth": "0.023",
                "backupMonth": "12",
            },
        },
    ),
    "prices-in-a-config-map": at("spec.cost", {"prices": None, "pricesConfigMapRef": {"name": "prices"}}),
    "opencost": at("spec.cost.openCost.url", "http://opencost.opencost.svc:9003"),
    "opencost-localhost-by-name-alone": at(
        "spec.cost.openCost.url", "https://localhost-costs.example.com/model/"
    ),
    "opencost-in-yuan": at(
        "spec.cost",
        {
            "currency": "CNY",
            "openCost": {"url": "https://10.0.0.7", "currency": "CNY", "tolerancePercent": 1000},
        },
    ),
    "cap-without-milvus-nodes": at("spec.cost", {"monthlyCap": "1041.60", "prices": {"milvusNodes": None}}),
    "min-equal-to-max": at("spec.encoder.autoscaling", {"minReplicas": 12, "maxReplicas": 12, "mode": "hpa"})
    | at("spec.cost", None),
    "two-to-eight": at("spec.encoder.autoscaling", {"minReplicas": 2, "maxReplicas": 8}),
    "scaled-by-keda": at(
        "spec.encoder.autoscaling",
        {
            "mode": "keda",
            "targetInflightTokens": 900,
            "prometheusAddress": "http://prometheus.monitoring.svc:9090",
            "scaleUp": {"pods": 12, "period": "1s"},
            "scaleDown": {"stabilizationWindow": "0s", "pods": 2, "period": "30m"},
        },
    ),
    "scaled-by-keda-without-prometheus": at("spec.encoder.autoscaling.mode", "keda"),
    "prewarm-empty": at("spec.encoder.autoscaling.prewarm", []),
    "prewarm": at(
        "spec.encoder.autoscaling.prewarm",
        [
            {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12},
            {"name": "tuesdays", "start": "0 19 * * TUE", "duration": "3h", "replicas": 6, "timeZone": "UTC"},
            {
                "name": "launch",
                "start": "2026-12-01T20:00:00+08:00",
                "duration": "1m",
                "replicas": 4,
                "lead": "0s",
            },
        ],
    ),
    "prewarm-16": at(
        "spec.encoder.autoscaling.prewarm",
        [
            {
                "name": f"w{n}",
                "start": f"{n} 0-6,22 1-7 JAN,jul mon-fri",
                "duration": "2160h",
                "replicas": 12,
            }
            for n in range(16)
        ],
    ),
    "cpu-encoder": at("spec.encoder.accelerator", {"count": 0}),
    "own-nodes": at(
        "spec.encoder.accelerator", {"nodeSelector": {}, "tolerations": [{"operator": "Exists"}]}
    ),
    "quantities": at("spec.encoder.resources", {"requests": {"cpu": 2, "memory": "512Mi"}, "limits": {}}),
    "weights-on-claim": at(
        "spec.encoder.weights",
        {"image": None, "persistentVolumeClaim": {"claimName": "weights"}, "sha256": DIGEST},
    ),
    "weights-baked-in": at("spec.encoder.weights", {"image": None, "bakedIn": {}, "sha256": DIGEST}),
    "weights-by-tag-and-pin": at(
        "spec.encoder.weights", {"image": "localhost/team/w:v1.5", "sha256": DIGEST}
    ),
    "registry-with-port": at("spec.encoder.weights.image", f"registry.example:5000/w:1@sha256:{DIGEST}"),
    "custom-model": at(
        "spec.encoder",
        {"model": "ours/v2", "custom": {"dimension": 384, "pooling": "cls"}, "maxTokens": 128},
    ),
    "custom-prefixes": at(
        "spec.encoder.custom", {"queryPrefix": "查询: ", "documentPrefix": "", "normalize": False}
    ),
    "shorter-texts": at("spec.encoder.maxTokens", 64),
    "milvus-tls": at("spec.vectorStore.milvus.endpoint", "https://milvus.example.com:443"),
    "milvus-address": at("spec.vectorStore.milvus.endpoint", "10.0.0.7:19530"),
    "milvus-address-v6": at("spec.vectorStore.milvus.endpoint", "[fd00::7]:65535"),
    "m-2": at("spec.vectorStore.milvus.index.m", 2),
    "m-2048": at("spec.vectorStore.milvus.index.m", 2048),
    "shards-16": at("spec.vectorStore.milvus.shards", 16),
    "ef-equal-to-depth": at("spec.vectorStore.milvus.search.ef", 100),
    "deepest": at("spec.vectorStore.milvus.search.ef", 16384),
    "elasticsearch-plain": at(
        "spec.catalogue.elasticsearch.endpoint", "http://elasticsearch.stores.svc:9200"
    ),
    "elasticsearch-below-path": at("spec.catalogue.elasticsearch.endpoint", "https://proxy.example.com/es/"),
    "elasticsearch-credentials": at(
        "spec.catalogue.elasticsearch",
        {"credentialsSecretRef": {"name": "es"}, "caSecretRef": {"name": "es.ca"}},
    ),
    "template-with-chinese": at(
        "spec.catalogue.elasticsearch.textTemplate", "品牌：{brand}，{attributes.colour}"
    ),
    "filter": at("spec.catalogue.elasticsearch.filter", 'on_sale: true AND brand: "小米"'),
    "cron-names": at("spec.refresh.schedule", "*/15 0-6,22 1-7 JAN,jul mon-fri"),
    "cron-wrap-written-out": at("spec.refresh.schedule", "59 22-23,0-4/2 28-31 9-12 0"),
    "zone-of-three-parts": at("spec.refresh.timeZone", "America/Argentina/Buenos_Aires"),
    "zone-etc": at("spec.refresh.timeZone", "Etc/GMT-8"),
    "deadline-composed": at("spec.refresh.startingDeadline", "1h30m"),
    "deadline-least": at("spec.refresh.startingDeadline", "10s"),
    "refresh-full": at("spec.refresh", {"mode": "Full", "schedule": "0 3 1 * *"}),
    "refresh-alone": at("spec.refresh.parallelism", 1),
    "refresh-requested": at("spec.refresh.requestedAt", "2026-11-11T00:00:00Z"),
    "refresh-requested-in-shanghai": at("spec.refresh.requestedAt", "2028-02-29T08:00:00.25+08:00"),
    "promotion-manual": at("spec.rollout", {"promotion": "Manual", "approvedRelease": "r-7c1f0000"}),
    "rollback": at("spec.rollout.rollbackTo", "r-7c1f0000"),
    "retain-30-days": at("spec.rollout", {"retain": "720h", "watch": "24h"}),
    "retain-as-long-as-watched": at("spec.rollout.retain", "600s"),
    "nothing-retained": at("spec.rollout", {"retain": "0s", "watch": "0s"}),
    "capacity-only-told": at("spec.rollout.capacityCheck", "Warn"),
    "gates": at(
        "spec.rollout.gates",
        {
            "minRecallAtK": "0.90",
            "minOverlapAt10": "1",
            "maxZeroResultRate": "0",
            "maxP95": "1ms",
            "judgedQueries": {"configMapRef": {"name": "judged"}, "maxNdcgDrop": "0.02"},
        },
    ),
    "gates-empty": at("spec.rollout.gates", {}),
    "judged-by-default-drop": at("spec.rollout.gates.judgedQueries", {"configMapRef": {"name": "judged"}}),
    "reranker-off": at("spec.search.reranker", {"enabled": False}),
    "reranker-baked-in": at(
        "spec.search.reranker", {"enabled": True, "weights": {"bakedIn": {}, "sha256": DIGEST}}
    ),
    "reranker-on-claim": at(
        "spec.search.reranker",
        {
            "enabled": True,
            "weights": {"persistentVolumeClaim": {"claimName": "weights", "path": "/r"}, "sha256": DIGEST},
            "devices": 0,
            "candidates": 50,
            "results": 50,
        },
    ),
    "reranker-by-digest": at(
        "spec.search.reranker", {"enabled": True, "weights": {"image": f"registry.example/r@sha256:{DIGEST}"}}
    ),
    # One encoder more than the minimum fleet, and not a cent less.
    "cap-with-reranker": {
        "spec": {
            "cost": {"monthlyCap": "3325.68"},
            "search": {"reranker": {"enabled": True, "weights": {"bakedIn": {}, "sha256": DIGEST}}},
        }
    },
    "experiment-off": at("spec.search.experiment", {"enabled": False}),
    "experiment-by-default": at("spec.search.experiment", {"enabled": True}),
    "experiment-of-two": at("spec.search.experiment", {"enabled": True, "semanticShare": "0.1"}),
    "experiment-of-thirds": at(
        "spec.search.experiment.arms",
        [
            {"mode": "fused", "share": "0.333333"},
            {"mode": "semantic", "share": "0.333333"},
            {"mode": "keyword", "share": "0.333334"},
        ],
    ),
    "only-meaning": at("spec.search.hybrid", {"mode": "semantic", "keywordWeight": "0"}),
    "synonyms": at(
        "spec.search.synonyms",
        [
            "便宜, 实惠, 性价比高",
            "type-c,usb c",
            "耳麦 => 耳机",
            "老人, 长辈 => 中老年, 银发族",
            "买 1 送 1, 买一送一",
        ],
    ),
    "synonyms-at-their-most": at("spec.search.synonyms", [f"x, {'长' * 509}"] * 256),
    "breaker": at("spec.search.breaker", {"latency": "250ms", "window": "1m"}),
    "log-in-elasticsearch": at(
        "spec.search.log",
        {"destination": "Elasticsearch", "index": "search-log", "saltSecretRef": {"name": "salt"}},
    ),
    "ingress": at("spec.search.entry.ingress", {"host": "search.example.com"}),
    "ingress-with-all": at(
        "spec.search.entry.ingress",
        {
            "host": "*.shop.example.com",
            "className": "nginx",
            "tlsSecretName": "shop-tls",
            "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
        },
    ),
    "route": at("spec.search.entry.httpRoute", {"parentRefs": [{"name": "front"}]}),
    "route-with-all": at(
        "spec.search.entry.httpRoute",
        {
            "hostnames": ["search.example.com", "xn--fiq228c.example.cn"],
            "parentRefs": [
                {"name": "front", "namespace": "gateways", "sectionName": "https"},
                {"name": "front", "namespace": "gateways", "sectionName": "http"},
            ],
        },
    ),
    "gateway-image": at("spec.search.image", "registry.example/semantic-search/plane:0.1.0"),
}


# Another value for each field that is immutable once a release is active, and the remedy that the refusal names.
OTHER_VALUES: dict[str, tuple[Json, str]] = {
    "spec.vectorStore.milvus.endpoint": (
        at("spec.vectorStore.milvus.endpoint", "other:19530"),
        "create another index beside this one",
    ),
    "spec.vectorStore.milvus.database": (
        at("spec.vectorStore.milvus.database", "other"),
        "create another index beside this one",
    ),
    "spec.catalogue.elasticsearch.index": (
        at("spec.catalogue.elasticsearch.index", "other"),
        "name an alias before the first release",
    ),
    "spec.catalogue.elasticsearch.fields.id": (
        at("spec.catalogue.elasticsearch.fields.id", "id"),
        "create another index",
    ),
}

STILL_MUTABLE: dict[str, Json] = {
    # These ask for another release.
    "model": at("spec.encoder.model", "m3e-small"),
    "revision": at("spec.encoder.revision", "2.0.0"),
    "custom": at("spec.encoder.custom", {"queryPrefix": "q: "}),
    "max-tokens": at("spec.encoder.maxTokens", 64),
    "precision": at("spec.encoder.precision", "fp32"),
    "weights": at("spec.encoder.weights.image", f"registry.example/w@sha256:{OTHER_DIGEST}"),
    "shards": at("spec.vectorStore.milvus.shards", 8),
    "replicas": at("spec.vectorStore.milvus.replicas", 1),
    "hnsw": at("spec.vectorStore.milvus.index.m", 32),
    "text-template": at("spec.catalogue.elasticsearch.textTemplate", "{title}"),
    # These are applied in place.
    "catalogue-endpoint": at("spec.catalogue.elasticsearch.endpoint", "http://other:9200"),
    "other-fields": at("spec.catalogue.elasticsearch.fields.price", "price_cny"),
    "rollback": at("spec.rollout.rollbackTo", "r-7c1f0000"),
    "approval": at("spec.rollout", {"promotion": "Manual", "approvedRelease": "r-7c1f0000"}),
    "refresh-request": at("spec.refresh.requestedAt", "2026-11-11T00:00:00Z"),
    "ef": at("spec.vectorStore.milvus.search.ef", 256),
    "autoscaling": at("spec.encoder.autoscaling.maxReplicas", 8),
    "encoder-image": at("spec.encoder.image", "registry.example/plane:2"),
    "resources": at("spec.encoder.resources.requests", {"cpu": "4"}),
    "schedule": at("spec.refresh.schedule", "0 4 * * *"),
    "filter": at("spec.catalogue.elasticsearch.filter", "on_sale:true"),
    "secret": at("spec.vectorStore.milvus.credentialsSecretRef", {"name": "milvus"}),
    "cap": at("spec.cost.monthlyCap", "6000"),
    "paused": at("spec.paused", True),
    "hybrid": at("spec.search.hybrid.semanticWeight", "0.7"),
    "synonyms": at("spec.search.synonyms", ["便宜, 实惠"]),
    "entry": at("spec.search.entry.ingress.host", "search.example.com"),
    "same-weights-from-another-registry": at(
        "spec.encoder.weights.image", f"mirror.example/e@sha256:{DIGEST}"
    ),
}

"""Resources whose search, re-ranker or entry the API server must refuse; continues the table of invalid resources."""

from typing import Any

from tests.cluster.invalid_row import Invalid
from tests.cluster.resource_base import DIGEST, at

SEARCH = "spec.search"
RERANKER = f"{SEARCH}.reranker"
EXPERIMENT = f"{SEARCH}.experiment"
ENTRY = f"{SEARCH}.entry"
INGRESS = f"{ENTRY}.ingress"
PARENT = {"name": "front"}


def _synonyms(id: str, line: str, says: str) -> Invalid:
    return Invalid(f"synonyms-{id}", at(f"{SEARCH}.synonyms", [line]), f"{SEARCH}.synonyms[0]", says)


def _arms(id: str, arms: list[dict[str, str]], path: str, says: str) -> Invalid:
    return Invalid(f"experiment-{id}", at(f"{EXPERIMENT}.arms", arms), f"{EXPERIMENT}.{path}", says)


def _ingress(id: str, change: dict[str, Any], path: str, says: str) -> Invalid:
    value = {"host": "search.example.com", **change}
    return Invalid(f"ingress-{id}", at(INGRESS, value), f"{INGRESS}.{path}", says)


def _route(id: str, change: dict[str, Any], path: str, says: str) -> Invalid:
    value = {"parentRefs": [PARENT], **change}
    return Invalid(f"route-{id}", at(f"{ENTRY}.httpRoute", value), f"{ENTRY}.httpRoute.{path}", says)


FUSION = (
    Invalid(
        "both-weights-0",
        at(f"{SEARCH}.hybrid", {"semanticWeight": "0", "keywordWeight": "0.0"}),
        f"{SEARCH}.hybrid.semanticWeight",
        "are both 0; raise one of them",
    ),
    Invalid("unknown-mode", at(f"{SEARCH}.hybrid.mode", "both"), f"{SEARCH}.hybrid.mode", '"fused", "sema'),
    Invalid(
        "breaker-too-eager", at(f"{SEARCH}.breaker.latency", "9ms"), f"{SEARCH}.breaker.latency", "10ms or"
    ),
    Invalid(
        "breaker-too-patient", at(f"{SEARCH}.breaker.latency", "11s"), f"{SEARCH}.breaker.latency", "10s or"
    ),
    Invalid(
        "breaker-window-short", at(f"{SEARCH}.breaker.window", "999ms"), f"{SEARCH}.breaker.window", "1s or"
    ),
    Invalid(
        "breaker-window-long", at(f"{SEARCH}.breaker.window", "301s"), f"{SEARCH}.breaker.window", "5m or"
    ),
)
SYNONYMS = (
    _synonyms("of-one-word", "便宜", 'must be "a, b, c"'),
    _synonyms("with-a-blank-word", "便宜, , 实惠", 'must be "a, b, c"'),
    _synonyms("without-a-target", "便宜 =>", 'must be "a, b, c"'),
    _synonyms("with-two-arrows", "a => b => c", 'must be "a, b, c"'),
    _synonyms("with-equals", "便宜 = 实惠", 'must be "a, b, c"'),
    _synonyms("in-full-width", "便宜，实惠", "half width"),
    _synonyms("too-long", f"{'长' * 511}, b", "512"),
    Invalid(
        "synonyms-too-many",
        at(f"{SEARCH}.synonyms", [f"a{n}, b{n}" for n in range(257)]),
        f"{SEARCH}.synonyms",
        "must have at most 256 items",
    ),
)
RERANKERS = (
    Invalid(
        "reranker-without-weights", at(RERANKER, {"enabled": True}), f"{RERANKER}.weights", "needs weights"
    ),
    Invalid(
        "reranker-returns-more-than-it-reads",
        at(RERANKER, {"candidates": 10, "results": 20}),
        f"{RERANKER}.results",
        "results 20 is above candidates 10; lower results",
    ),
    Invalid(
        "reranker-reads-more-than-is-found",
        at(SEARCH, {"topK": 50, "reranker": {"enabled": True, "weights": {"bakedIn": {}, "sha256": DIGEST}}}),
        f"{RERANKER}.candidates",
        "reranker.candidates 100 is above topK 50",
    ),
    Invalid(
        "reranker-weights-of-two-places",
        at(f"{RERANKER}.weights", {"bakedIn": {}, "image": "localhost/w:1", "sha256": DIGEST}),
        f"{RERANKER}.weights",
        "exactly one of image",
    ),
    Invalid(
        "reranker-not-pinned",
        at(f"{RERANKER}.weights", {"image": "localhost/w:1"}),
        f"{RERANKER}.weights.sha256",
        "is not pinned: add sha256",
    ),
    Invalid(
        "reranker-pin-of-capitals",
        at(f"{RERANKER}.weights", {"bakedIn": {}, "sha256": "A" * 64}),
        f"{RERANKER}.weights.sha256",
        "64 small hex digits",
    ),
    Invalid(
        "reranker-baked-in-outside",
        at(f"{RERANKER}.weights", {"bakedIn": {"path": "/a/../b"}, "sha256": DIGEST}),
        f"{RERANKER}.weights.bakedIn.path",
        "absolute path",
    ),
    Invalid(
        "reranker-claim-path-relative",
        at(
            f"{RERANKER}.weights",
            {"persistentVolumeClaim": {"claimName": "w", "path": "models"}, "sha256": DIGEST},
        ),
        f"{RERANKER}.weights.persistentVolumeClaim.path",
        "absolute path",
    ),
    Invalid("reranker-too-hasty", at(f"{RERANKER}.timeout", "4ms"), f"{RERANKER}.timeout", "5ms or longer"),
    Invalid("reranker-too-slow", at(f"{RERANKER}.timeout", "3s"), f"{RERANKER}.timeout", "2s or shorter"),
    Invalid(
        "no-reranker", at(f"{RERANKER}.replicas", 0), f"{RERANKER}.replicas", "greater than or equal to 1"
    ),
    Invalid(
        "cap-below-encoders-and-rerankers",
        {
            "spec": {
                "cost": {"monthlyCap": "3065.28"},
                "search": {"reranker": {"enabled": True, "weights": {"bakedIn": {}, "sha256": DIGEST}}},
            }
        },
        "spec.cost.monthlyCap",
        "write at least 3326",
    ),
)
EXPERIMENTS = (
    _arms(
        "of-less",
        [{"mode": "fused", "share": "0.5"}, {"mode": "keyword", "share": "0.4"}],
        "arms",
        "sum to 1",
    ),
    _arms(
        "of-more",
        [{"mode": "fused", "share": "0.5"}, {"mode": "keyword", "share": "0.6"}],
        "arms",
        "sum to 1",
    ),
    _arms("share-in-percent", [{"mode": "fused", "share": "100%"}], "arms[0].share", "between 0 and 1"),
    _arms("share-in-full-width", [{"mode": "fused", "share": "１"}], "arms[0].share", "half width"),
    _arms(
        "arm-twice",
        [{"mode": "fused", "share": "0.5"}, {"mode": "fused", "share": "0.5"}],
        "arms[1]",
        "Duplicate value",
    ),
    Invalid(
        "experiment-said-twice",
        at(EXPERIMENT, {"arms": [{"mode": "fused", "share": "1"}], "semanticShare": "0.5"}),
        f"{EXPERIMENT}.semanticShare",
        "arms or semanticShare",
    ),
    Invalid("experiment-name", at(f"{EXPERIMENT}.name", "实验"), f"{EXPERIMENT}.name", "letters, digits"),
)
LOGS = (
    Invalid(
        "log-elsewhere", at(f"{SEARCH}.log.destination", "S3"), f"{SEARCH}.log.destination", '"Stdout", "El'
    ),
    Invalid(
        "log-index-in-capitals", at(f"{SEARCH}.log.index", "Log"), f"{SEARCH}.log.index", "small letters"
    ),
    Invalid(
        "log-among-products", at(f"{SEARCH}.log.index", "products"), f"{SEARCH}.log.index", "choose another"
    ),
)
ENTRIES = (
    Invalid("no-entry", at(ENTRY, {}), ENTRY, "exactly one of ingress and httpRoute"),
    Invalid(
        "two-entries",
        at(ENTRY, {"ingress": {"host": "a.example.com"}, "httpRoute": {"parentRefs": [PARENT]}}),
        ENTRY,
        "exactly one of ingress and httpRoute",
    ),
    Invalid("ingress-without-host", at(INGRESS, {"className": "nginx"}), f"{INGRESS}.host", "Required value"),
    _ingress("host-with-scheme", {"host": "https://search.example.com"}, "host", "without scheme"),
    _ingress("host-in-full-width", {"host": "ｓearch.example.com"}, "host", "half width"),
    _ingress("class-in-capitals", {"className": "NGINX"}, "className", "small letters"),
    _ingress(
        "with-a-snippet",
        {"annotations": {"nginx.ingress.kubernetes.io/configuration-snippet": "return 200;"}},
        "annotations",
        "nor snippets",
    ),
    _ingress(
        "with-our-mark", {"annotations": {"semanticsearch.io/applied": "x"}}, "annotations", "may not hold"
    ),
    Invalid(
        "route-without-parents", at(f"{ENTRY}.httpRoute", {}), f"{ENTRY}.httpRoute.parentRefs", "Required"
    ),
    _route("of-nobody", {"parentRefs": []}, "parentRefs", "at least 1 items"),
    _route("host-with-port", {"hostnames": ["a.example.com:80"]}, "hostnames[0]", "without scheme"),
    _route("host-in-full-width", {"hostnames": ["ａ.example.com"]}, "hostnames[0]", "half width"),
    _route("parent-in-capitals", {"parentRefs": [{"name": "Front"}]}, "parentRefs[0].name", "small letters"),
    _route(
        "section-in-capitals",
        {"parentRefs": [{"name": "front", "sectionName": "HTTPS"}]},
        "parentRefs[0].sectionName",
        "small letters",
    ),
    _route(
        "namespace-with-dot",
        {"parentRefs": [{"name": "front", "namespace": "a.b"}]},
        "parentRefs[0].namespace",
        "a namespace's name",
    ),
)

INVALID_SEARCH: tuple[Invalid, ...] = (*FUSION, *SYNONYMS, *RERANKERS, *EXPERIMENTS, *LOGS, *ENTRIES)

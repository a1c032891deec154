"""What the gateway counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from search_plane.gateway.answer import Timings
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.protection.breakers import BreakerMetrics
from search_plane.gateway.reranking import RerankMetrics
from search_plane.release.record import ReleaseSnapshot

STAGES = ("understand", "embed", "vector", "keyword", "join", "rerank")
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)


class GatewayMetrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests", "Answered HTTP requests.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "gateway_request_seconds",
            "Time from a request's head to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.inflight = Gauge("gateway_inflight_requests", "Requests being answered.", registry=self.registry)
        self.queries = Counter(
            "gateway_queries",
            "Queries answered with 200, by release and path.",
            ["release", "path"],
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "gateway_stage_seconds",
            "Time in one step of a query: understand, embed, vector, keyword, join, rerank.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.dependency_errors = Counter(
            "gateway_dependency_errors",
            "Calls that a dependency failed, by reason.",
            ["dependency", "reason"],
            registry=self.registry,
        )
        self.degraded = Counter(
            "gateway_degraded_answers", "Answers with something missing.", ["part"], registry=self.registry
        )
        self.dropped = Counter(
            "gateway_dropped_hits",
            "Hits that the catalogue no longer has.",
            ["release"],
            registry=self.registry,
        )
        self.release = Gauge(
            "gateway_release_info",
            "1 for the release in use.",
            ["release", "fingerprint", "collection"],
            registry=self.registry,
        )
        self.switches = Counter(
            "gateway_release_switches", "Snapshots taken into use.", registry=self.registry
        )
        self.file_good = Gauge(
            "gateway_release_file_good",
            "1 while the release file is a good snapshot.",
            registry=self.registry,
        )
        self.pending = Gauge(
            "gateway_release_pending", "1 while a newer snapshot waits for its parts.", registry=self.registry
        )
        self.doubtful = Gauge(
            "gateway_vectors_doubtful",
            "1 while Milvus shows rows of the release in use missing; answers are marked.",
            registry=self.registry,
        )
        self.extra_searches = Counter(
            "gateway_extra_searches",
            "Searches beyond the first of a query: hedge (slow), short (too few rows), failed.",
            ["kind"],
            registry=self.registry,
        )
        self.policy_file_good = Gauge(
            "gateway_policy_file_good",
            "1 while the policy file is a good policy, or absent.",
            registry=self.registry,
        )
        self.policy_info = Gauge(
            "gateway_policy_info", "1 for the policy in use.", ["revision"], registry=self.registry
        )
        self.lexicon_brands = Gauge(
            "gateway_lexicon_brands",
            "Brands that queries are understood by; 0 until they are learnt from the catalogue.",
            registry=self.registry,
        )
        self.cache_looks = Counter(
            "gateway_cache_looks",
            "Looks into a cache (vectors, candidates) that found what they looked for (hit), or did not (miss).",
            ["cache", "result"],
            registry=self.registry,
        )
        # Looked up once: labels() is a lock and a tuple, on every query.
        self._stages = [(stage, self.stage_seconds.labels(stage)) for stage in STAGES]
        self._looks = {
            (cache, hit): self.cache_looks.labels(cache, "hit" if hit else "miss")
            for cache in ("vectors", "candidates")
            for hit in (True, False)
        }
        self.breakers = BreakerMetrics(self.registry)
        self.reranking = RerankMetrics(self.registry)
        self.tasks = Gauge("gateway_tasks", "Tasks of the event loop.", registry=self.registry)
        self.ready = Gauge("gateway_ready", "1 while /readyz says 200.", registry=self.registry)

    def answered(self, release: str, path: str, timings: Timings, dropped: int, degraded: list[str]) -> None:
        """One query answered."""
        self.queries.labels(release, path).inc()
        for stage, histogram in self._stages:
            if milliseconds := getattr(timings, stage):
                histogram.observe(milliseconds / 1000)
        if dropped:
            self.dropped.labels(release).inc(dropped)
        for part in degraded:
            self.degraded.labels(part).inc()

    def cached(self, cache: str, hit: bool) -> None:
        """One look into a cache."""
        self._looks[cache, hit].inc()

    def policy(self, revision: str, good: bool) -> None:
        """The policy in use, and whether its file is good now."""
        self.policy_file_good.set(good)
        self.policy_info.clear()
        self.policy_info.labels(revision).set(1)

    def failed(self, fault: Unavailable) -> None:
        """One dependency's failure."""
        self.dependency_errors.labels(fault.dependency, fault.reason).inc()

    def switched(self, snapshot: ReleaseSnapshot) -> None:
        """A snapshot was taken into use."""
        self.release.clear()
        self.release.labels(snapshot.release, snapshot.fingerprint, snapshot.milvus.collection).set(1)
        self.switches.inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

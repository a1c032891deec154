"""What the encoder counts, for Prometheus and for the autoscaler."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class BatchMetrics:
    """What is counted of one model's batches; the names begin with `prefix`. All series exist from the start."""

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"{prefix}_{name}", text, buckets=_SECONDS, registry=registry)

        self.inflight_tokens = Gauge(
            f"{prefix}_inflight_tokens", "Tokens that wait or are being computed.", registry=registry
        )
        self.queue_seconds = seconds("queue_seconds", "Time a text waits for its batch, in seconds.")
        self.run_seconds = seconds("run_seconds", "Time the runtime takes for a batch, in seconds.")
        self.request_seconds = seconds(
            "request_seconds", "Time from a request's body to its answer, in seconds."
        )
        self.batch_size = Histogram(
            f"{prefix}_batch_size", "Texts in a batch.", buckets=_TEXTS, registry=registry
        )
        self.batch_tokens = Histogram(
            f"{prefix}_batch_tokens",
            "Tokens in a batch, padding included.",
            buckets=_TOKENS,
            registry=registry,
        )
        self.tokens = Counter(f"{prefix}_tokens", "Tokens computed, padding not included.", registry=registry)
        self.padding = Counter(
            f"{prefix}_padding_tokens", "Padding computed beside the tokens, in tokens.", registry=registry
        )
        self.dropped = Counter(
            f"{prefix}_dropped_texts",
            "Texts that were not computed, for nobody waited any more.",
            registry=registry,
        )
        self.requests = Counter(
            f"{prefix}_requests", "Requests, on any route, by HTTP status.", ["status"], registry=registry
        )
        self.ready = Gauge(f"{prefix}_ready", "1 while the probes are right, else 0.", registry=registry)
        for status in ("200", "409", "413", "422", "424", "429", "503"):
            self.requests.labels(status)


class Metrics(BatchMetrics):
    """The metrics of one encoder process, in a registry of their own; `reranking` is 0 where nothing re-ranks.

    `encoder_inflight_tokens` is the autoscaler's signal; what is re-ranked is not in it, for it is shed instead.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__("encoder", self.registry)
        self.reranking = BatchMetrics("encoder_rerank", self.registry)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

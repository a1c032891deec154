"""What the encoder counts, for Prometheus and for the autoscaler."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """The metrics of one encoder process, in a registry of their own. All series exist from the start."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.inflight_tokens = Gauge(
            "encoder_inflight_tokens",
            "Tokens that wait or are being computed; the autoscaler's signal.",
            registry=self.registry,
        )
        self.queue_seconds = Histogram(
            "encoder_queue_seconds",
            "Time a text waits for its batch, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.run_seconds = Histogram(
            "encoder_run_seconds",
            "Time the runtime takes for a batch, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "encoder_request_seconds",
            "Time from a request's body to its answer, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "encoder_batch_size", "Texts in a batch.", buckets=_TEXTS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "encoder_batch_tokens",
            "Tokens in a batch, padding included.",
            buckets=_TOKENS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "encoder_tokens", "Tokens computed, padding not included.", registry=self.registry
        )
        self.padding = Counter(
            "encoder_padding_tokens", "Padding computed beside the tokens, in tokens.", registry=self.registry
        )
        self.dropped = Counter(
            "encoder_dropped_texts",
            "Texts that were not computed, for nobody waited any more.",
            registry=self.registry,
        )
        self.requests = Counter(
            "encoder_requests",
            "Requests for vectors, on any route, by HTTP status.",
            ["status"],
            registry=self.registry,
        )
        self.ready = Gauge(
            "encoder_ready", "1 while the probe vectors are right, else 0.", registry=self.registry
        )
        for status in ("200", "409", "413", "422", "424", "429", "503"):
            self.requests.labels(status)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

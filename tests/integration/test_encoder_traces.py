"""The encoder's spans, as a collector receives them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.testbed.plane import EncoderServer, wait_until
from tests.testbed.weights.folder import WeightsFolder

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


class Collector:
    """An OTLP receiver over HTTP; `spans` are those it was sent, with the service that sent them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        received = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = ExportTraceServiceRequest.FromString(body)
                for resource in asked.resource_spans:
                    names = {one.key: one.value.string_value for one in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        received.extend((names["service.name"], span) for span in scope.spans)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT names."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> "Iterator[Collector]":
        """Receives while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that runs."""
    with Collector().running() as running:
        yield running


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_request_is_a_span_in_its_caller_s_trace(
    tiny_encoder: WeightsFolder, tmp_path: Path, collector: Collector
) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": 50}
    with EncoderServer(tiny_encoder, tmp_path, **settings) as server:
        parent = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        body = {"inputs": ["小米", "五常大米"]}
        httpx.post(f"{server.url}/embed", json=body, headers=parent).raise_for_status()
        assert httpx.post(f"{server.url}/embed", json={"inputs": []}).status_code == 422
        assert httpx.get(f"{server.url}/nowhere").status_code == 404
        wait_until("three spans", lambda: len(collector.spans) >= 3, 30)
    (service, embed), (_, refused), (_, lost) = sorted(
        collector.spans, key=lambda one: one[1].start_time_unix_nano
    )
    assert (service, embed.name) == ("search-encoder", "POST /embed")
    assert (embed.trace_id.hex(), embed.parent_span_id.hex()) == (TRACE, SPAN)
    told = attributes(embed)
    # Two characters and four, each with [CLS] and [SEP].
    assert (told["encoder.texts"], told["encoder.tokens"], told["http.response.status_code"]) == (2, 10, 200)
    seconds = (embed.end_time_unix_nano - embed.start_time_unix_nano) / 1e9
    assert 0 <= told["encoder.queue_seconds"] <= seconds
    assert 0 < told["encoder.run_seconds"] <= seconds
    assert attributes(refused)["http.response.status_code"] == 422
    assert refused.trace_id.hex() != TRACE
    assert (lost.name, attributes(lost)["http.response.status_code"]) == ("GET", 404)
    # Readiness was asked for too; that is nobody's trace.
    assert len(collector.spans) == 3

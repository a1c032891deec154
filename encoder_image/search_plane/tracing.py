"""W3C trace context: taken from a request, told in its log lines, passed on with what it asks of others.

Spans are made, by FastAPI itself, only where a collector is named by OpenTelemetry's own variables
(OTEL_EXPORTER_OTLP_ENDPOINT). Without one a caller's `traceparent` goes through unchanged, and a request without it costs
one look at its headers.
"""

import logging
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager

from fastapi.telemetry import TelemetryConfig
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Asked every few seconds by machines, and of no interest to anybody's trace.
UNTRACED = frozenset({"/health", "/healthz", "/readyz", "/metrics"})
# One span a request. Metrics are Prometheus', logs go to the standard output.
TELEMETRY: TelemetryConfig = {
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
    "exclude": lambda scope: scope.get("path") in UNTRACED,
}
# Of what stands in a header; W3C's is 55 characters long, and later versions may add to it.
_LONGEST_TRACEPARENT = 512

_W3C = TraceContextTextMapPropagator()
# Of no effect until `export_spans`.
_TRACER = trace.get_tracer("search_plane")


def export_spans(part: str, environment: Mapping[str, str]) -> bool:
    """Sends spans of this process to the collector that the environment names; False, and nothing, where it names none.

    `part` is the service's name unless OTEL_SERVICE_NAME gives one. Once a process.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    # Only here, so that a process without a collector doesn't pay for the import.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if environment.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"search-{part}"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True


class Traced:
    """ASGI middleware: the rest of a request runs in its caller's trace, unless it is in a span of its own already.

    The server must begin each request in an empty context (uvicorn's reset_contextvars), or a pipelined one would run
    in the trace of the one before it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI."""
        if scope["type"] == "http" and (carrier := _carrier(scope["headers"])) and not recording():
            # Each request is a task, whose context ends with it; so what the server logs after us has the id too.
            context.attach(_W3C.extract(carrier, context.Context()))
        return self._app(scope, receive, send)


def pass_on(headers: MutableMapping[str, str]) -> None:
    """Adds the current trace to the headers of a request that is about to be made; nothing where there is none."""
    _W3C.inject(headers)


def asking(name: str) -> AbstractContextManager[object]:
    """A span around a question to another part, where spans are made."""
    return _TRACER.start_as_current_span(name, kind=SpanKind.CLIENT)


def recording() -> bool:
    """Whether `note` is heard."""
    return trace.get_current_span().is_recording()


def note(**numbers: float) -> None:
    """Numbers of the current request, e.g. `texts=3`, for its span; told as `encoder.texts` and so on."""
    trace.get_current_span().set_attributes({f"encoder.{name}": number for name, number in numbers.items()})


def name_route(method: str, path: str) -> None:
    """Says of the current request's span which route it went, where the router didn't."""
    current = trace.get_current_span()
    current.update_name(f"{method} {path}")
    current.set_attribute("http.route", path)


class TraceIds(logging.Filter):
    """Gives log records `trace_id` and `span_id` while a trace is current; lets all pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """From logging."""
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            record.trace_id = format_trace_id(current.trace_id)
            record.span_id = format_span_id(current.span_id)
        return True


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The two headers of the standard, `tracestate` only beside a `traceparent` of which there is just one."""
    parent: str | None = None
    states: list[str] = []
    for name, value in headers:
        if name == b"traceparent":
            if parent is not None or len(value) > _LONGEST_TRACEPARENT:
                return {}
            parent = value.decode("latin-1")
        elif name == b"tracestate":
            states.append(value.decode("latin-1"))
    if parent is None:
        return {}
    return {"traceparent": parent, **({"tracestate": ",".join(states)} if states else {})}

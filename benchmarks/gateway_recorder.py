"""What the gateway asks Elasticsearch for each query, taken down on the way, so that a bare loop can ask the very same."""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel
from search_plane.release.policy import SearchPolicy

from benchmarks.gateway_bed import Bed, gateway
from tests.testbed.cluster import TestbedError

K = 10


class Request(BaseModel):
    """One request to Elasticsearch: `path` with its parameters, and the body as it went over the wire."""

    path: str
    body: str
    content_type: str

    @property
    def searches(self) -> bool:
        """Whether it looks for words, rather than for documents by id."""
        return "_search" in self.path or "_msearch" in self.path


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The gateway ends connections as it likes; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Recorder:
    """A proxy to Elasticsearch that keeps the requests since the last `taken`."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        requests: list[Request] = []
        self._requests = requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = self.headers.get("Content-Type", "")
                requests.append(Request(path=self.path, body=body.decode(), content_type=kind))
                far = http.client.HTTPConnection(target.hostname or "", target.port or 0, timeout=30)
                headers = {
                    key: value for key, value in self.headers.items() if key.lower() != "accept-encoding"
                }
                far.request(self.command, self.path, body, headers)
                answer = far.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "content-length"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                far.close()

            do_GET = do_POST = do_HEAD = do_PUT = _pass_on

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the run has its own log."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where Elasticsearch seems to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def taken(self) -> list[Request]:
        """The requests since the last call."""
        found = list(self._requests)
        self._requests.clear()
        return found

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def recorded(
    bed: Bed, queries: Sequence[str], policy: SearchPolicy, home: Path, settings: Mapping[str, object]
) -> list[list[Request]]:
    """For each query what one gateway asks Elasticsearch for it. Raises TestbedError where that lacks words."""
    with Recorder(bed.snapshot.catalogue.url) as recorder:
        catalogue = bed.snapshot.catalogue.model_copy(update={"url": recorder.url})
        # Without sentinels' probes: only what queries ask.
        with gateway(home, policy, **settings, probe_seconds=60) as process, httpx.Client() as client:
            process.serve(bed.snapshot.model_copy(update={"catalogue": catalogue}))
            recorder.taken()
            found = []
            for query in queries:
                parameters = {"q": query, "k": str(K), "mode": "fused"}
                answer = client.get(f"{process.url}/search", params=parameters, timeout=60)
                requests = recorder.taken()
                if answer.status_code != 200 or not any(request.searches for request in requests):
                    raise TestbedError(f"{query!r}: {answer.status_code}, asked for {requests}")
                found.append(requests)
    return found

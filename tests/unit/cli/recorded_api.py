"""A fake API server over HTTP: it answers from objects in memory as far as `kubectl ssi` asks, and records writes.

It checks no schema and takes `test`, `add` and `remove` of a JSON patch only; tests/cluster/test_kubectl_ssi.py has the
real one.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]
INDEXES = "/apis/semanticsearch.io/v1alpha1"


@dataclass
class RecordedApi:
    """`indexes` by (namespace, name); `refuse` answers a path's beginning with a status code; `moves` is how often an
    index changes right before a patch of it."""

    indexes: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: list[Object] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)
    config_maps: dict[tuple[str, str], Object] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=lambda: {"search", "default"})
    refuse: dict[str, int] = field(default_factory=dict)
    served: bool = True
    moves: int = 0
    patches: list[list[Object]] = field(default_factory=list)
    kubeconfig: Path = Path()

    def add(self, index: Object) -> Object:
        """Keep an index."""
        meta = index["metadata"]
        self.indexes[meta["namespace"], meta["name"]] = index
        return index

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Object]:
        """What a GET is answered."""
        refused = [code for start, code in self.refuse.items() if path.startswith(start)]
        if refused:
            return _status(refused[0], "Forbidden", f'User "jane" cannot list resource at {path}')
        if path.startswith(INDEXES):
            if not self.served:
                return 404, {"message": "404 page not found"}
            return self._indexes(path.removeprefix(INDEXES).strip("/").split("/"))
        parts = path.removeprefix("/api/v1/").split("/")
        match parts:
            case ["namespaces", name]:
                found = {"metadata": {"name": name}} if name in self.namespaces else None
            case ["namespaces", _, "pods"]:
                return 200, {"items": self.pods}
            case ["namespaces", _, "events"]:
                return 200, {"items": self.events}
            case ["namespaces", namespace, "configmaps", name]:
                found = self.config_maps.get((namespace, name))
            case _:
                raise AssertionError(f"nobody should ask for {path} {query}")
        return (200, found) if found else _status(404, "NotFound", f"{path} not found", parts[-1])

    def _indexes(self, parts: list[str]) -> tuple[int, Object]:
        match parts:
            case ["semanticsearchindexes"]:
                found = list(self.indexes.values())
            case ["namespaces", namespace, "semanticsearchindexes"]:
                found = [i for (place, _), i in self.indexes.items() if place == namespace]
            case ["namespaces", namespace, "semanticsearchindexes", name]:
                one = self.indexes.get((namespace, name))
                return (200, one) if one else _status(404, "NotFound", f"{name} not found", name)
            case _:
                raise AssertionError(f"nobody should ask for {parts}")
        return 200, {"metadata": {"resourceVersion": "1"}, "items": found}

    def patch(self, path: str, query: dict[str, list[str]], operations: list[Object]) -> tuple[int, Object]:
        """What a PATCH is answered; kept unless it is a dry run."""
        code, live = self._indexes(path.removeprefix(INDEXES).strip("/").split("/"))
        assert code == 200
        if self.moves:
            self.moves -= 1
            live["metadata"]["resourceVersion"] += "0"
        changed = copy.deepcopy(live)
        for operation in operations:
            if not _take(changed, operation):
                return _status(
                    422, "Invalid", "the server rejected our request due to an error in our request"
                )
        self.patches.append(operations)
        if "dryRun" not in query:
            changed["metadata"]["resourceVersion"] += "1"
            self.add(changed)
        return 200, changed


def _take(target: Object, operation: Object) -> bool:
    *parents, last = (
        key.replace("~1", "/").replace("~0", "~") for key in operation["path"].strip("/").split("/")
    )
    for key in parents:
        target = target[key]
    match operation["op"]:
        case "test":
            return bool(target.get(last) == operation["value"])
        case "add":
            target[last] = operation["value"]
        case "remove":
            del target[last]
        case other:
            raise AssertionError(other)
    return True


def _status(code: int, reason: str, message: str, name: str = "") -> tuple[int, Object]:
    details = {"details": {"name": name}} if name else {}
    return code, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, **details}


@contextmanager
def recorded_api(folder: Path) -> Iterator[RecordedApi]:
    """One on a loopback port, with a kubeconfig in `folder`, until the block ends."""
    api = RecordedApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            self._answer(*api.get(place.path, parse_qs(place.query)))

        def do_PATCH(self) -> None:
            place = urlsplit(self.path)
            assert self.headers["Content-Type"] == "application/json-patch+json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(*api.patch(place.path, parse_qs(place.query), body))

        def _answer(self, code: int, body: Object) -> None:
            said = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Not worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.kubeconfig = folder / "kubeconfig"
    api.kubeconfig.write_text(kubeconfig(f"http://127.0.0.1:{server.server_port}"), encoding="utf-8")
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(server: str) -> str:
    """A kubeconfig whose context `test` has the namespace `search`."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [
                {"name": "test", "context": {"cluster": "c", "user": "jane", "namespace": "search"}},
                {"name": "staging", "context": {"cluster": "c", "user": "jane"}},
            ],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "jane", "user": {}}],
        }
    )

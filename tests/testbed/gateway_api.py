"""The Gateway API's own CRDs, from its pinned Go module; no controller comes with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run

MODULE = "sigs.k8s.io/gateway-api"
VERSION = "v1.4.0"
# As `go mod download -json` prints it, and as sum.golang.org has it.
SUM = "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ="
HTTP_ROUTES = "httproutes.gateway.networking.k8s.io"


def http_route_crd() -> Path:
    """The file of HTTPRoute's CRD, of the standard channel. Raises TestbedError when the module is not what is pinned."""
    told = run(
        ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
        what=f"download {MODULE} {VERSION}",
        remedy="Install Go; the module comes from the same proxy as Kubernetes' sources.",
        timeout=120,
        environment={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
    )
    found = json.loads(told)
    if found.get("Sum") != SUM:
        raise TestbedError(f"{MODULE} {VERSION} has the sum {found.get('Sum')}, expected {SUM}")
    return Path(found["Dir"]) / "config" / "crd" / "standard" / "gateway.networking.k8s.io_httproutes.yaml"

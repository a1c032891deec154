"""KEDA's own CRDs, from its pinned Go module; KEDA itself is not built."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run

MODULE = "github.com/kedacore/keda/v2"
VERSION = "v2.21.0"
# As `go mod download -json` prints it, and as sum.golang.org has it.
SUM = "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="
SCALED_OBJECTS = "scaledobjects.keda.sh"


def scaled_object_crd() -> Path:
    """The file of ScaledObject's CRD. Raises TestbedError when the module is not what is pinned."""
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
    return Path(found["Dir"]) / "config" / "crd" / "bases" / "keda.sh_scaledobjects.yaml"

"""Waiting until an API server serves a CRD that was just applied."""

import json
from typing import Protocol

from tests.testbed.cluster.commands import wait_until


class Asks(Protocol):
    """What runs kubectl against one API server."""

    def ask(self, *arguments: str) -> str:
        """What kubectl prints for ``arguments``."""


def await_served(server: Asks, crd: str, *, timeout: float = 60.0) -> None:
    """Return once ``server`` says that it serves ``crd`` (its whole name); TestbedError after ``timeout`` s.

    Not `kubectl wait`, nor a jsonpath filter: both fail on a CRD whose conditions are still null.
    """

    def established() -> bool:
        status = json.loads(server.ask("get", "crd", crd, "-o", "json")).get("status", {})
        conditions = status.get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    wait_until(established, what=f"the API server to serve {crd}", timeout=timeout)

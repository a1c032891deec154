"""What an index's status says, in lines that people can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]


def condition(index: Object, kind: str) -> Object:
    """The condition of that type; empty when it is not there."""
    return next((c for c in index.get("status", {}).get("conditions", ()) if c.get("type") == kind), {})


def is_ready(index: Object) -> bool:
    """Whether the present spec is served: Ready, about this generation, with no other release on its way or failed."""
    if index.get("status", {}).get("observedGeneration") != index["metadata"]["generation"]:
        return False
    wanted = {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
    return all(condition(index, kind).get("status") == status for kind, status in wanted.items())


def progress_line(index: Object) -> str:
    """Phase, release, stage, rows, percent, encoders, and what is waited for; as much of it as is known."""
    status = index.get("status", {})
    if not status:
        return "the operator has not seen it yet"
    release: Object = next(iter(status.get("releases", ())), {})
    encoder = status.get("encoder", {})
    parts = [f"{release.get('stage') or status.get('phase', 'Unknown'):<12}"]
    if "name" in release:
        parts.append(release["name"])
    if progress := release.get("progress"):
        parts.append(
            f"{progress.get('done', 0):,} of {progress.get('total', 0):,} rows ({progress.get('percent', 0)} %)"
        )
    elif release.get("rows") is not None:
        parts.append(f"{release['rows']:,} rows")
    if encoder:
        parts.append(f"encoders {encoder.get('ready', 0)}/{encoder.get('desired', 0)}")
    # While rows are counted, what is waited for is the rest of them.
    if (waiting := release.get("waitingFor")) and not release.get("progress"):
        parts.append(f"waiting for {waiting}")
    stalled = condition(index, "Stalled")
    if stalled.get("status") == "True":
        parts.append(f"STALLED: {stalled.get('message', '')}")
    return "  ".join(parts)


def speed(index: Object) -> str:
    """Rows per second of the build that runs; empty when none does."""
    release: Object = next(iter(index.get("status", {}).get("releases", ())), {})
    rows = (release.get("progress") or {}).get("rowsPerSecond")
    return f"  {rows:,} rows/s" if rows else ""


def condition_rows(index: Object) -> Sequence[tuple[str, str, str, str]]:
    """(type, status, reason, message) of every condition."""
    conditions: Sequence[Object] = index.get("status", {}).get("conditions", ())
    return [(c["type"], c["status"], c["reason"], c.get("message", "")) for c in conditions]


def why_not_ready(index: Object | None) -> str:
    """One sentence on what keeps it from being ready."""
    if index is None:
        return "there is no such index"
    if not index.get("status"):
        return "the operator has written no status: is it running?"
    ready, stalled = condition(index, "Ready"), condition(index, "Stalled")
    said = stalled if stalled.get("status") == "True" else ready
    return f"{said.get('reason', 'Unknown')}: {said.get('message', '')}"

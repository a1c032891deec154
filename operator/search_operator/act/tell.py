"""Writes the status and the events of an index."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.dynamic.exceptions import DynamicApiError

from search_operator.decide.events import events
from search_operator.kubernetes_api import EVENT, INDEX, KubernetesApi

log = logging.getLogger(__name__)
LONGEST_MESSAGE = 1024


async def write_status(
    api: KubernetesApi, body: Mapping[str, Any], said: Mapping[str, Any]
) -> dict[str, Any]:
    """Server-side apply of the status. Raises NotFoundError when the index is gone."""
    meta = body["metadata"]
    wish = {
        "apiVersion": INDEX.api_version,
        "kind": INDEX.kind,
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "status": dict(said),
    }
    return await api.apply(wish, subresource="status")


async def emit_events(
    api: KubernetesApi, body: Mapping[str, Any], before: Mapping[str, Any], said: Mapping[str, Any]
) -> None:
    """One event per change. A refused event is logged: telling must never stop the work."""
    meta = body["metadata"]
    for event in events(before, said):
        moment = datetime.now(UTC)
        unique = hashlib.sha256(f"{meta['uid']}{event}{moment.timestamp()}".encode()).hexdigest()[:16]
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        wish = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{unique}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": INDEX.api_version,
                "kind": INDEX.kind,
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:LONGEST_MESSAGE],
            "source": {"component": "semantic-search-operator"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        try:
            await api.create(EVENT, meta["namespace"], wish)
        except DynamicApiError as error:
            log.warning(
                "event %s of %s/%s is refused: %s",
                event.reason,
                meta["namespace"],
                meta["name"],
                error.summary(),
            )

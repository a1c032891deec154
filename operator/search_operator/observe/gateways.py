"""What each gateway says of itself at /release."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from pydantic import ValidationError
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic

from search_operator.observe.asking import ask, reachable
from search_operator.observe.observation import GatewayView, PodView

WITHIN_SECONDS = 1.0
# A gateway that lacks them is older than a release's life: what it says of itself can't be relied on.
_SPOKEN_BY_ALL = {"release", "revision", "prepared"}


async def look_at_gateways(http: aiohttp.ClientSession, pods: Sequence[PodView]) -> tuple[GatewayView, ...]:
    """Every gateway pod that runs and is not being deleted, with what it says at /release; asked all at once."""
    gateways = [p for p in pods if p.component == "gateway" and reachable(p) and not p.deleted]
    states = await asyncio.gather(*(ask(http, pod, "/release", WITHIN_SECONDS) for pod in gateways))
    return tuple(
        GatewayView(pod.name, pod.ready, pod.nudged, gateway_state(state) if state else None)
        for pod, state in zip(gateways, states, strict=True)
    )


def gateway_state(said: Mapping[str, Any]) -> GatewayState | None:
    """The state in a gateway's answer: what a newer one says beyond it is left out, an older one's is None."""
    if not said.keys() >= _SPOKEN_BY_ALL:
        return None
    known = {key: value for key, value in said.items() if key in GatewayState.model_fields}
    try:
        known["traffic"] = [
            {key: value for key, value in item.items() if key in ReleaseTraffic.model_fields}
            for item in known.get("traffic", ())
        ]
        return GatewayState.model_validate(known)
    except (ValidationError, TypeError, AttributeError):
        return None

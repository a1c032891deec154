"""Asking a pod of ours over HTTP. Silence is no failure: the pod may be starting, ending, or cut off."""

from typing import Any

import aiohttp

from search_operator.observe.observation import PodView
from search_operator.render.child import HTTP_PORT


def reachable(pod: PodView) -> bool:
    """Whether it makes sense to ask it."""
    return pod.phase == "Running" and bool(pod.ip)


async def ask(http: aiohttp.ClientSession, pod: PodView, path: str, within: float) -> dict[str, Any] | None:
    """The JSON object that the pod answers with; None when no such answer comes `within` seconds."""
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    url, timeout = f"http://{host}:{HTTP_PORT}{path}", aiohttp.ClientTimeout(total=within)
    try:
        async with http.get(url, timeout=timeout) as answer:
            said = await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return said if isinstance(said, dict) else None

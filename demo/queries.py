"""Asking the gateway, and showing what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from rich import box
from rich.table import Table
from rich.text import Text
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from demo.steps import StepFailed

QUERIES = ("便宜的蓝牙耳机", "适合送老人的保健品", "小米手机充电器")
HITS = 5
_ANSWERS_WITHIN = 30.0
_REQUEST_SECONDS = 5.0

Answer = Mapping[str, Any]


def ask(gateway: str, query: str, hits: int = HITS) -> Answer:
    """The gateway's answer; tried again for half a minute while it is starting, then StepFailed."""
    attempts = Retrying(
        retry=retry_if_exception_type((httpx.TransportError, _NotYet)),
        stop=stop_after_delay(_ANSWERS_WITHIN),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    try:
        answer: Answer = attempts(_ask_once, gateway, query, hits)
    except (httpx.TransportError, _NotYet) as error:
        raise StepFailed(f"no answer from {gateway} within {_ANSWERS_WITHIN:.0f} s: {error}") from error
    return answer


class _NotYet(Exception):
    """503: something that the gateway needs is away."""


def _ask_once(gateway: str, query: str, hits: int) -> Answer:
    response = httpx.get(
        f"{gateway}/search", params={"q": query, "k": hits}, timeout=_REQUEST_SECONDS, trust_env=False
    )
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise _NotYet(response.text)
    if response.is_error:
        raise StepFailed(f"{response.request.url} answered {response.status_code}: {response.text}")
    answer: Answer = response.json()
    return answer


def hits_table(answer: Answer) -> Table:
    """Rank, title, brand, price, stock and score of each hit; above it the query, below it the timings."""
    table = Table(
        title=Text(answer["query"], style="bold"),
        title_justify="left",
        caption=Text(timings(answer)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("#", justify="right")
    table.add_column("title", no_wrap=True, overflow="ellipsis", max_width=52)
    table.add_column("brand", no_wrap=True)
    for heading in ("price", "stock", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    for hit in answer["hits"]:
        table.add_row(
            str(hit["rank"]),
            Text(str(hit.get("title") or "")),
            Text(str(hit.get("brand") or "")),
            amount(hit.get("price")),
            "" if hit.get("stock") is None else f"{hit['stock']}",
            # Reciprocal ranks are small: the best of both searches has 1/61.
            f"{hit['score']:.4f}",
        )
    return table


def amount(price: object) -> str:
    """A price with two decimals; nothing when the product has none."""
    return f"{price:.2f}" if isinstance(price, int | float) else ""


def timings(answer: Answer) -> str:
    """Release, way and milliseconds of an answer, in one line."""
    took = answer["timings_ms"]
    steps = (("embed", "embed"), ("vector", "vector"), ("words", "keyword"), ("join", "join"))
    told = ", ".join(f"{what} {took[key]:.1f}" for what, key in steps if key in took)
    text = f"release {answer['release']}, {answer['path']}, {took['total']:.1f} ms ({told})"
    return f"{text}, degraded: {', '.join(answer['degraded'])}" if answer.get("degraded") else text

"""A fake of OpenCost: a real HTTP server that answers GET /allocation/compute in the shape of OpenCost.

Shape, from its documentation and its source (AllocationJSON, AllocationProperties.GenerateKey): {"code": 200, "data":
[{"<namespace>/<label>/<label>": allocation}]}, amounts as numbers with at most five decimals, null for NaN. It computes
nothing: it says what it is told to.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

START, END = "2026-11-30T16:00:00Z", "2026-12-01T16:00:00Z"


def allocation(key: str, total: float | None, gpu: float = 0.0) -> dict[str, Any]:
    """One aggregated allocation; what is no cost is left at 0."""
    costs = dict.fromkeys(
        (
            f"{part}Cost{more}"
            for part in ("cpu", "gpu", "ram", "pv", "network")
            for more in ("", "Adjustment")
        ),
        0.0,
    )
    return {
        "name": key,
        "properties": {"cluster": "cluster-one", "namespace": key.split("/")[0]},
        "window": {"start": START, "end": END},
        "start": START,
        "end": END,
        "minutes": 1440,
        "cpuCores": 16,
        "gpuCount": 4,
        "gpuHours": 96,
        "ramBytes": 68719476736,
        "pvs": None,
        **costs,
        "gpuCost": gpu,
        "externalCost": 0,
        "sharedCost": 0,
        "totalCost": total,
        "totalEfficiency": 0.61,
        "proportionalAssetResourceCosts": {},
        "lbAllocations": None,
        "gpuAllocation": None,
    }


def answer_of(costs: Mapping[str, float | None], code: int = 200) -> dict[str, Any]:
    """The whole answer: the costs by key, and what other namespaces cost."""
    others: dict[str, float | None] = {
        "kube-system/__unallocated__/__unallocated__": 7.12345,
        "__idle__": 30.5,
    }
    return {
        "code": code,
        "data": [{key: allocation(key, cost) for key, cost in (others | dict(costs)).items()}],
    }


@dataclass
class FakeOpenCost:
    """`says` is what it answers: JSON, a whole response, or None for silence; `asked` are the queries so far."""

    says: Any = None
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /allocation/compute."""
        self.asked.append(dict(request.query))
        if self.says is None:
            await asyncio.Event().wait()
        return self.says if isinstance(self.says, web.StreamResponse) else web.json_response(self.says)


@asynccontextmanager
async def fake_opencost(says: Any) -> AsyncIterator[FakeOpenCost]:
    """It serves on a port of its own until the end."""
    fake = FakeOpenCost(says)
    app = web.Application()
    app.router.add_get("/model/allocation/compute", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/model"
        yield fake
    finally:
        await runner.cleanup()

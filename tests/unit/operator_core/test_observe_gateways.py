"""What pods answer over HTTP, asked all at once; what is silent, late or strange is not known and nothing worse."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from search_operator.observe import asking
from search_operator.observe.gateways import WITHIN_SECONDS, gateway_state, look_at_gateways
from search_operator.observe.workloads import job_progress
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic

from tests.unit.operator_core.builders import START, pod, report

SAID = GatewayState(
    release="r-1",
    fingerprint="f",
    revision="a1",
    next="r-2",
    next_revision="b2",
    prepared=True,
    traffic=(ReleaseTraffic(release="r-1", queries=9, p95_ms=12.5),),
)


@asynccontextmanager
async def pods_that_say(
    monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Any]
) -> AsyncIterator[aiohttp.ClientSession]:
    """Servers on loopback addresses (as pods' IPs) that answer every path; None: connections are never answered."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        said = answers[request.transport.get_extra_info("sockname")[0]]
        if said is None:
            await asyncio.Event().wait()
        return web.json_response(said) if not isinstance(said, web.Response) else said

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.setattr(asking, "HTTP_PORT", port)
    try:
        for address in answers:
            await web.TCPSite(runner, address, port).start()
        async with aiohttp.ClientSession() as http:
            yield http
    finally:
        await runner.cleanup()


def test_every_gateway_that_runs_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gateways = [
        pod("gateway", "good", ip="127.0.0.2", nudged="a1"),
        pod("gateway", "hangs", ip="127.0.0.3"),
        pod("gateway", "hangs too", ip="127.0.0.4", ready=False),
        pod("gateway", "broken", ip="127.0.0.5"),
        pod("gateway", "starts", ip="", phase="Pending"),
        pod("gateway", "goes", ip="127.0.0.2", deleted=True),
        pod("encoder", "none", ip="127.0.0.2"),
    ]
    answers = {
        "127.0.0.2": SAID.model_dump(mode="json"),
        "127.0.0.3": None,
        "127.0.0.4": None,
        "127.0.0.5": web.Response(status=200, text="not JSON"),
    }

    async def look() -> tuple[Any, float]:
        async with pods_that_say(monkeypatch, answers) as http:
            began = time.monotonic()
            return await look_at_gateways(http, gateways), time.monotonic() - began

    views, took = asyncio.run(look())
    assert [view.pod for view in views] == ["good", "hangs", "hangs too", "broken"]
    assert [view.state for view in views] == [SAID, None, None, None]
    assert [(view.ready, view.nudged) for view in views][:3] == [(True, "a1"), (True, ""), (False, "")]
    assert took < 2 * WITHIN_SECONDS, "one after another"


def test_an_older_gateway_is_not_understood_and_a_newer_one_is() -> None:
    assert gateway_state({"release": "r-1", "fingerprint": "f", "collection": "c"}) is None
    newer = SAID.model_dump(mode="json") | {"mood": "good"}
    newer["traffic"][0]["cached"] = 7
    assert gateway_state(newer) == SAID


@pytest.mark.parametrize("strange", [{"traffic": 3}, {"traffic": ["r-1"]}, {"prepared": "perhaps"}])
def test_what_makes_no_sense_is_not_known(strange: dict[str, Any]) -> None:
    assert gateway_state(SAID.model_dump(mode="json") | strange) is None


def test_the_progress_of_workers_and_of_those_that_have_ended_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def said(done: int) -> dict[str, Any]:
        return {"phase": "Scanning", "done": done, "total": 100, "started_at": START.isoformat()}

    workers = [
        pod("build", "w0", ip="127.0.0.2", job="build", slice=0),
        pod("build", "w1", ip="127.0.0.3", job="build", slice=1),
        pod("build", "w2", ip="127.0.0.4", job="build", slice=2, phase="Succeeded", report=report("r", 100)),
        pod("build", "other", ip="127.0.0.3", job="another", slice=0),
    ]

    async def ask() -> Any:
        async with pods_that_say(monkeypatch, {"127.0.0.2": said(10), "127.0.0.3": said(20)}) as http:
            return await job_progress(http, workers, "build", 3), await job_progress(http, workers, "another")

    whole, single = asyncio.run(ask())
    assert (whole.done, whole.total, whole.phase) == (130, 300, "Scanning")
    assert (single.done, single.total) == (20, 100)

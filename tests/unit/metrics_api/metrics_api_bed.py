"""The metrics API on loopback, with real TLS, asking servers that expose what a real encoder exposes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from search_operator.metrics_api.answers import application
from search_operator.metrics_api.callers import Trust
from search_operator.metrics_api.certificate import ServingCertificate, renewed
from search_operator.metrics_api.listener import Listener
from search_operator.metrics_api.readings import Encoders
from search_plane.encoder.metrics import Metrics

HOST = "semantic-search-operator-metrics.semantic-search-system.svc"
NAMESPACE = "search"
PATH = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/pods"


def pod(name: str, ip: str, **labels: str) -> dict[str, Any]:
    """An encoder pod that runs, as the operator's cache holds it."""
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"app.kubernetes.io/component": "encoder", **labels},
        },
        "status": {"phase": "Running", "podIP": ip},
    }


@dataclass
class Encoder:
    """A server on one loopback address with a real encoder's metrics; `answers` cleared: it lets callers wait."""

    ip: str
    metrics: Metrics = field(default_factory=Metrics)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def serve(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.answers.wait()
        return web.Response(body=self.metrics.exposition(), headers={"Content-Type": Metrics.content_type})


@dataclass
class Served:
    """A running metrics API."""

    listener: Listener
    encoders: list[Encoder]
    pods: list[dict[str, Any]]
    certificate: ServingCertificate
    trust: Trust

    async def show(self, certificate: ServingCertificate, trust: Trust) -> None:
        """From now on with these."""
        self.certificate, self.trust = certificate, trust
        await self.listener.show(certificate, trust)

    async def ask(
        self, path: str, context: ssl.SSLContext, http: aiohttp.ClientSession | None = None
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON of one request, on a connection of its own unless `http` is given."""
        url = f"https://127.0.0.1:{self.listener.bound_port}{path}"
        async with _session(http) as session, session.get(url, ssl=context, server_hostname=HOST) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def _session(given: aiohttp.ClientSession | None) -> AsyncIterator[aiohttp.ClientSession]:
    if given is not None:
        yield given
        return
    async with aiohttp.ClientSession() as made:
        yield made


@asynccontextmanager
async def served(trust: Trust, encoders: int = 2) -> AsyncIterator[Served]:
    """The API with that many encoders: pods enc-1 on 127.0.0.1, enc-2 on 127.0.0.2, and so on."""
    stands = [Encoder(f"127.0.0.{number + 1}") for number in range(encoders)]
    port = _free_port()
    runners = []
    for stand in stands:
        stand.answers.set()
        app = web.Application()
        app.router.add_get("/metrics", stand.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, stand.ip, port).start()
        runners.append(runner)
    pods = [pod(f"enc-{n}", stand.ip, fleet="a") for n, stand in enumerate(stands, 1)]
    async with aiohttp.ClientSession() as http:
        bed: Served | None = None

        def trusted() -> Trust:
            return bed.trust if bed else trust

        listener = Listener(application(lambda _: pods, Encoders(http, port), trusted), 0)
        bed = Served(listener, stands, pods, renewed(None, HOST, datetime.now(UTC)), trust)
        try:
            await bed.show(bed.certificate, trust)
            yield bed
        finally:
            await listener.close()
            for stand in stands:
                stand.answers.set()
            for runner in runners:
                await runner.cleanup()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

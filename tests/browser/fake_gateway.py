"""A fake of the gateway's /search and /click with the real page on it, for states that real parts rarely take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from search_plane.gateway.page.routes import add_page

from tests.testbed.plane import free_port, wait_until


@dataclass(frozen=True)
class Asked:
    """One request to /search: its parameters in order, and its headers."""

    parameters: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    def all(self, name: str) -> list[str]:
        """All values of a parameter."""
        return [value for given, value in self.parameters if given == name]

    def get(self, name: str) -> str:
        """The value of a parameter, "" for none."""
        return next(iter(self.all(name)), "")


Answers = Callable[[Asked], Response]


def hit(rank: int, **fields: object) -> dict[str, Any]:
    """A hit as the gateway gives it."""
    return {
        "id": f"SKU-{rank:06d}",
        "score": round(1 - rank / 100, 4),
        "rank": rank,
        "title": f"漫步者 无线蓝牙耳机 {rank} 号",
        "brand": "漫步者",
        "category": "数码/耳机",
        "price": 89.0 + rank,
        "stock": 120,
        **fields,
    }


def answer(hits: list[dict[str, Any]], **fields: object) -> dict[str, Any]:
    """A whole answer as the gateway gives it; `fields` replace or add."""
    return {
        "search_id": "request-1",
        "query": "蓝牙耳机",
        "understood": {"text": "蓝牙耳机"},
        "release": "r-1a2b3c4d",
        "fingerprint": "sha256:9f2c6d0e0f0a" + "0" * 52,
        "policy": "0d1c2b3a49586776",
        "path": "fused",
        "mode": "fused",
        "degraded": [],
        "hits": hits,
        "total": len(hits),
        "dropped": 0,
        "timings_ms": {"embed": 4.1, "vector": 6.2, "keyword": 8.0, "join": 2.7, "total": 13.6},
        **fields,
    }


def as_json(content: object, status: int = 200, **headers: str) -> Response:
    """A response; underscores in names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(orjson.dumps(content), status, {"X-Request-Id": "request-1", **named}, "application/json")


@dataclass
class FakeGateway:
    """Answers as `answers` says; keeps what it was asked and which clicks it was told."""

    answers: Answers = lambda _asked: as_json(answer([hit(1)]))
    clicks_status: int = 204
    asked: list[Asked] = field(default_factory=list)
    clicks: list[dict[str, Any]] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeGateway:
        app = FastAPI(docs_url=None, redoc_url=None)
        add_page(app)

        @app.get("/search")
        async def search(request: Request) -> Response:
            asked = Asked(tuple(request.query_params.multi_items()), dict(request.headers))
            self.asked.append(asked)
            return self.answers(asked)

        @app.post("/click")
        async def click(request: Request) -> Response:
            self.clicks.append(orjson.loads(await request.body()))
            return Response(status_code=self.clicks_status)

        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until("the fake gateway to listen", lambda: self._server.started, 20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

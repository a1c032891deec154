"""A scenario played by a client against the encoder's application, in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started application."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://encoder") as client,
    ):
        yield client


def play(app: FastAPI, scenario: Scenario) -> None:
    """Run a scenario against the started application."""

    async def run() -> None:
        async with serving(app) as client:
            await scenario(client)

    asyncio.run(run())

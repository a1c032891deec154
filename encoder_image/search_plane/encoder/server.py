"""The encoder's process: start, serve, drain."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import uvicorn
import uvloop
from fastapi import FastAPI
from pythonjsonlogger.json import JsonFormatter

from search_plane.encoder.artefact import ArtefactError
from search_plane.encoder.http_protocol import BoundedHttp
from search_plane.encoder.routes import create_app
from search_plane.encoder.service import load
from search_plane.encoder.session import SessionError
from search_plane.encoder.settings import Settings, SettingsError
from search_plane.tracing import TraceIds, export_spans

EXIT_REFUSED = 2

log = logging.getLogger(__name__)


class Drains(Protocol):
    """A service that says on /readyz that it is leaving while `draining`."""

    draining: bool


class EncoderServer(uvicorn.Server):
    """Uvicorn that turns unready first, then stops accepting, then finishes what it has."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Our handlers instead of uvicorn's, which end the process by the signal again after the drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.begin_drain)
        yield

    def begin_drain(self) -> None:
        """What SIGTERM does; a second one changes nothing."""
        service: Drains | None = getattr(self._app.state, "service", None)
        if service is None:
            self.should_exit = True
            return
        if service.draining:
            return
        service.draining = True
        log.info("draining", extra={"accepting_for_seconds": self._drain_seconds})
        asyncio.get_running_loop().call_later(self._drain_seconds, setattr, self, "should_exit", True)


async def serve(app: FastAPI, host: str, port: int, drain_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        # Else a pipelined request would begin in the trace of the one before it.
        reset_contextvars=True,
    )
    await EncoderServer(config, app, drain_seconds).serve()


def main() -> int:
    """Run the encoder from the environment. Exit code 0 after a drain, 2 when it refuses to start."""
    log_json()
    # As process 1 of a container nothing ends it but what it handles itself, also while it loads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The tokenizer's own thread pool would take the cores from the lanes.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    started = time.perf_counter()
    try:
        settings = Settings.from_env(os.environ)
        loaded = load(settings)
    except (SettingsError, ArtefactError, SessionError) as error:
        log.error("refused to start: %s", error)
        return EXIT_REFUSED
    export_spans("encoder", os.environ)
    log.info(
        "loaded",
        extra={
            "fingerprint": settings.identity.fingerprint(),
            "artefact": loaded.artefact.digest,
            "device": loaded.device,
            "lanes": loaded.runtime.lanes,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        app = create_app(settings, loaded)
        runner.run(serve(app, settings.host, settings.port, settings.drain_seconds))
    return 0


def log_json() -> None:
    """Log lines as JSON, with the trace's ids."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s", timestamp=True, rename_fields={"levelname": "level"}
        )
    )
    handler.addFilter(TraceIds())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

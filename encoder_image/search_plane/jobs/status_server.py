"""The job's small HTTP server: /progress for the operator, /healthz, /metrics for Prometheus."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from search_plane.jobs.progress import ProgressBoard

log = logging.getLogger(__name__)


class _BoardCollector(Collector):
    def __init__(self, board: ProgressBoard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        progress = self._board.snapshot()
        yield GaugeMetricFamily("job_documents_done", "Documents settled in this pass", progress.done)
        yield GaugeMetricFamily("job_documents_total", "Documents of this pass", progress.total)
        yield GaugeMetricFamily("job_documents_failed", "Documents left out", progress.failed)
        yield CounterMetricFamily("job_rows_embedded", "Rows embedded and written", progress.embedded)
        yield CounterMetricFamily(
            "job_rows_reused", "Vectors copied from another collection", progress.reused
        )
        yield CounterMetricFamily(
            "job_rows_updated", "Rows written with other fields and the vector they had", progress.updated
        )
        yield CounterMetricFamily("job_rows_deleted", "Rows deleted", progress.deleted)
        yield GaugeMetricFamily(
            "job_rows_per_second", "Documents settled per second", progress.rows_per_second
        )


@contextlib.asynccontextmanager
async def served(board: ProgressBoard, host: str, port: int) -> AsyncIterator[None]:
    """Serves until the block ends. A port that is taken is logged, and the job runs without."""
    registry = CollectorRegistry()
    registry.register(_BoardCollector(board))

    async def progress(_: web.Request) -> web.Response:
        return web.json_response(text=board.snapshot().model_dump_json())

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    application = web.Application()
    application.add_routes(
        [web.get("/progress", progress), web.get("/healthz", alive), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        log.warning("progress is not served", extra={"error": str(error)})
    try:
        yield
    finally:
        await runner.cleanup()

"""The process of a build, catch-up or refresh job: settings, progress, logs, signals, and the report at the end."""

import asyncio
import contextlib
import logging
import os
import time
from datetime import UTC, datetime
from typing import Literal, Self

import uvloop
from pydantic import NonNegativeInt, PositiveInt, ValidationError, model_validator

from search_plane.jobs.collection import ReleaseCollection
from search_plane.jobs.embedding import EncoderClient
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.job_process import (
    ProcessSettings,
    failed,
    log_json,
    one_line,
    until_terminated,
    write_report,
)
from search_plane.jobs.progress import ProgressBoard
from search_plane.jobs.rendering import Renderer
from search_plane.jobs.reuse import Donors
from search_plane.jobs.scan import Catalogue, Slice
from search_plane.jobs.status_server import served
from search_plane.jobs.sync import Outcome, Sync, SyncLimits
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.report import (
    EXIT_CONFIGURATION,
    EXIT_RETRYABLE,
    EXIT_SUCCESS,
    EXIT_TERMINATED,
    JobReport,
)
from search_plane.stores.catalogue import CatalogueConnection
from search_plane.stores.milvus import MilvusConnection
from search_plane.tracing import export_spans

Kind = Literal["build", "catchup", "refresh"]

# Seconds for which a collection to copy vectors from is asked again; the encoder can make them, too.
_DONOR_PATIENCE = 5.0

log = logging.getLogger("search_plane.jobs")


class JobSettings(ProcessSettings):
    """What the environment says, by the upper-case names of these fields. Seconds, rows, texts.

    A build does slice `job_completion_index` (which Kubernetes sets in an indexed Job) of `slices`; catch-up and
    refresh do all.
    """

    # A look-up in Milvus costs less a row the more rows it asks for, up to about this many.
    batch_rows: PositiveInt = 2000
    embed_batch: PositiveInt = 32
    embed_requests: PositiveInt = 8
    upsert_rows: PositiveInt = 512
    slices: PositiveInt = 1
    job_completion_index: NonNegativeInt = 0

    @property
    def part(self) -> Slice:
        """The slice of a build worker."""
        return Slice(self.job_completion_index, self.slices)

    @model_validator(mode="after")
    def _slice_exists(self) -> Self:
        Slice(self.job_completion_index, self.slices)
        return self


def main(kind: Kind) -> int:
    """Runs the job to its end and returns the process's exit code."""
    log_json()
    export_spans("job", os.environ)
    try:
        settings = JobSettings.from_environment()
    except ValidationError as error:
        log.error("environment not usable", extra={"error": one_line(error)})
        return EXIT_CONFIGURATION
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(kind, settings))


async def _run(kind: Kind, settings: JobSettings) -> int:
    board = ProgressBoard()
    async with served(board, settings.host, settings.port):
        started = time.monotonic()
        report, code = await _run_to_report(kind, settings, board)
        report = report.model_copy(
            update={
                "embedded": board.embedded,
                "unchanged": board.unchanged,
                "reused": board.reused,
                "updated": board.updated,
                "deleted": board.deleted,
                "failed": board.failed,
                "duration_seconds": round(time.monotonic() - started, 3),
                "rows_per_second": round(board.scan_rate(), 1),
            }
        )
        write_report(report, settings.report_file)
        log.info(
            "job ended", extra={"job": kind, "report": report.model_dump(mode="json"), "exit_code": code}
        )
        if code == EXIT_TERMINATED:
            # A thread may still wait for Milvus, and the interpreter would wait for the thread.
            logging.shutdown()
            os._exit(code)
    return code


async def _run_to_report(kind: Kind, settings: JobSettings, board: ProgressBoard) -> tuple[JobReport, int]:
    try:
        release = ReleaseSnapshot.model_validate_json(settings.release_file.read_bytes())
        renderer = Renderer(release.encoder.text_template, release.catalogue.fields.id)
    except (OSError, ValueError) as error:
        board.phase = "Failed"
        return failed("InvalidRelease", f"{settings.release_file}: {one_line(error)}", ""), EXIT_CONFIGURATION
    part = settings.part if kind == "build" else None
    sync: Sync | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            sync = await _assemble(release, renderer, settings, board, part, stack)
            outcome = await until_terminated(sync.fill() if kind == "build" else sync.run())
    except asyncio.CancelledError:
        failure, code = (
            failed("Terminated", "asked to stop; the next run goes on from here", release.release),
            EXIT_TERMINATED,
        )
    except JobFailed as error:
        failure, code = failed(error.reason, str(error), release.release), error.exit_code
    except Exception as error:
        # The report must tell of it whatever it was; the log has where it was.
        log.exception("job broke")
        failure, code = (
            failed("InternalError", f"{type(error).__name__}: {error}", release.release),
            EXIT_RETRYABLE,
        )
    else:
        board.phase = "Done"
        return _succeeded(outcome, release.release, part), EXIT_SUCCESS
    board.phase = "Failed"
    return failure.model_copy(update={"bad": sync.bad if sync else ()}), code


async def _assemble(
    release: ReleaseSnapshot,
    renderer: Renderer,
    settings: JobSettings,
    board: ProgressBoard,
    part: Slice | None,
    stack: contextlib.AsyncExitStack,
) -> Sync:
    patience = settings.patience_seconds
    catalogue = CatalogueConnection(release.catalogue)
    stack.push_async_callback(catalogue.close)
    milvus = MilvusConnection(release.milvus)
    stack.callback(milvus.close)
    encoder = EncoderClient(release.encoder_url, release.fingerprint, release.encoder.dimension, patience)
    stack.push_async_callback(encoder.close)
    collection = ReleaseCollection(milvus, patience)
    donors = [ReleaseCollection(milvus, min(patience, _DONOR_PATIENCE), name=name) for name in release.reuse]
    return Sync(
        Catalogue(catalogue, renderer.source_fields, settings.batch_rows, patience, part=part),
        renderer,
        encoder,
        collection,
        board,
        SyncLimits(
            batch=settings.embed_batch, requests=settings.embed_requests, upsert_rows=settings.upsert_rows
        ),
        Donors(donors, collection) if donors else None,
    )


def _succeeded(outcome: Outcome, release: str, part: Slice | None) -> JobReport:
    if part is None:
        message = f"{outcome.rows} rows are equal to the catalogue after {outcome.rounds} rounds"
    else:
        message = f"slice {part.number} of {part.of} is in: {outcome.rows} documents"
    if outcome.failed:
        message += f"; {outcome.failed} documents were left out"
    return JobReport(
        result="Succeeded",
        reason="Completed",
        message=message,
        release=release,
        rows=outcome.rows,
        bad=outcome.bad,
        id_sets_equal=outcome.equal,
        watermark=outcome.watermark,
        finished_at=datetime.now(UTC),
    )

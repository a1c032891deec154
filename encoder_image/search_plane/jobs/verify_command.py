"""The process of a verify job: its settings, the two releases it looks at, and the report at the end."""

import asyncio
import contextlib
import logging
import os
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from pydantic import PositiveFloat, PositiveInt, ValidationError

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
from search_plane.jobs.status_server import served
from search_plane.jobs.verify import SampleSizes, Side, Verifier
from search_plane.jobs.verify_collection import ExaminedCollection
from search_plane.jobs.verify_encoder import ExaminedEncoder
from search_plane.jobs.verify_sample import SampledCatalogue
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.report import (
    EXIT_CONFIGURATION,
    EXIT_RETRYABLE,
    EXIT_SUCCESS,
    EXIT_TERMINATED,
    JobReport,
    Verification,
)
from search_plane.stores.catalogue import CatalogueConnection
from search_plane.stores.milvus import MilvusConnection
from search_plane.tracing import export_spans

# Comparisons with the active release are worth a short wait; the candidate's own measurements a long one.
_ACTIVE_PATIENCE_SECONDS = 20.0
# Fourteen reasons and all figures must fit into the 4,000 bytes of a termination message.
_REASON_BYTES = 120

log = logging.getLogger("search_plane.jobs")


class VerifySettings(ProcessSettings):
    """What the environment says, by the upper-case names of these fields. Seconds, rows, queries."""

    active_file: Path = Path("/etc/search/release/active.json")
    judged_file: Path = Path("/etc/search/judged/judged.jsonl")
    batch_rows: PositiveInt = 1000
    vectors_checked: PositiveInt = 64
    sample_queries: PositiveInt = 200
    timed_queries: PositiveInt = 200
    recall_queries: PositiveInt = 100
    recall_rows: PositiveInt = 20_000
    index_wait_seconds: PositiveFloat = 120.0

    @property
    def sizes(self) -> SampleSizes:
        """How much is looked at."""
        return SampleSizes(
            vectors=self.vectors_checked,
            queries=self.sample_queries,
            timed_queries=self.timed_queries,
            recall_queries=self.recall_queries,
            recall_rows=self.recall_rows,
            index_wait=self.index_wait_seconds,
        )


def main() -> int:
    """Runs the job to its end and returns the process's exit code."""
    log_json()
    export_spans("job", os.environ)
    try:
        settings = VerifySettings.from_environment()
    except ValidationError as error:
        log.error("environment not usable", extra={"error": one_line(error)})
        return EXIT_CONFIGURATION
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings))


async def _run(settings: VerifySettings) -> int:
    board = ProgressBoard()
    async with served(board, settings.host, settings.port):
        started = time.monotonic()
        report, code = await _run_to_report(settings, board)
        board.phase = "Done" if code == EXIT_SUCCESS else "Failed"
        report = report.model_copy(update={"duration_seconds": round(time.monotonic() - started, 3)})
        write_report(report, settings.report_file)
        log.info(
            "job ended",
            extra={"job": "verify", "report": report.model_dump(mode="json"), "exit_code": code},
        )
        if code == EXIT_TERMINATED:
            # A thread may still wait for Milvus, and the interpreter would wait for the thread.
            logging.shutdown()
            os._exit(code)
    return code


async def _run_to_report(settings: VerifySettings, board: ProgressBoard) -> tuple[JobReport, int]:
    try:
        release = ReleaseSnapshot.model_validate_json(settings.release_file.read_bytes())
        renderer = Renderer(release.encoder.text_template, release.catalogue.fields.id)
    except (OSError, ValueError) as error:
        message = f"{settings.release_file}: {one_line(error)}"
        return failed("InvalidRelease", message, ""), EXIT_CONFIGURATION
    try:
        async with contextlib.AsyncExitStack() as stack:
            verifier = _assemble(release, renderer, settings, board, stack)
            found = await until_terminated(verifier.run())
    except asyncio.CancelledError:
        return failed(
            "Terminated", "asked to stop; the next run measures anew", release.release
        ), EXIT_TERMINATED
    except JobFailed as error:
        return failed(error.reason, str(error), release.release), error.exit_code
    except Exception as error:
        # The report must tell of it whatever it was; the log has where it was.
        log.exception("job broke")
        message = f"{type(error).__name__}: {error}"
        return failed("InternalError", message, release.release), EXIT_RETRYABLE
    return measured(found, release.release), EXIT_SUCCESS


def measured(found: Verification, release: str) -> JobReport:
    """The report of a verification that ended, whatever it found; its reasons are cut so that it fits."""
    why = {name: _cut(reason) for name, reason in found.why.items()}
    return JobReport(
        result="Succeeded",
        reason="Completed",
        message="measured" if not why else f"measured, but for {', '.join(sorted(why))}",
        release=release,
        rows=found.rows or 0,
        verification=found.model_copy(update={"why": why}),
        finished_at=datetime.now(UTC),
    )


def _assemble(
    release: ReleaseSnapshot,
    renderer: Renderer,
    settings: VerifySettings,
    board: ProgressBoard,
    stack: contextlib.AsyncExitStack,
) -> Verifier:
    catalogue = CatalogueConnection(release.catalogue)
    stack.push_async_callback(catalogue.close)
    active = _read_active(settings.active_file)
    if isinstance(active, ReleaseSnapshot):
        patience = min(settings.patience_seconds, _ACTIVE_PATIENCE_SECONDS)
        compared: Side | str = _side(active, patience, stack)
    else:
        compared = active
    source_fields = list(dict.fromkeys([*renderer.source_fields, release.catalogue.fields.title]))
    return Verifier(
        _side(release, settings.patience_seconds, stack),
        compared,
        SampledCatalogue(catalogue, source_fields, settings.batch_rows, settings.patience_seconds),
        renderer,
        settings.judged_file,
        board,
        settings.sizes,
        # Another sample for each release, and the same for one that is measured again.
        seed=zlib.crc32(release.release.encode()) & 0x7FFFFFFF,
    )


def _side(release: ReleaseSnapshot, patience: float, stack: contextlib.AsyncExitStack) -> Side:
    milvus = MilvusConnection(release.milvus)
    stack.callback(milvus.close)
    encoder = EncoderClient(release.encoder_url, release.fingerprint, release.encoder.dimension, patience)
    stack.push_async_callback(encoder.close)
    return Side(release, ExaminedEncoder(encoder, release.encoder), ExaminedCollection(milvus, patience))


def _read_active(path: Path) -> ReleaseSnapshot | str:
    """The active release, or why there is none to compare with."""
    try:
        text = path.read_bytes().strip()
        if text in (b"", b"{}"):
            return "there is no active release"
        return ReleaseSnapshot.model_validate_json(text)
    except FileNotFoundError:
        return "there is no active release"
    except (OSError, ValueError) as error:
        return f"{path.name}: {one_line(error)}"


def _cut(reason: str) -> str:
    # Quotes and backslashes would take two bytes each in JSON.
    plain = " ".join(reason.replace("\\", "/").replace('"', "'").split())
    return plain.encode()[:_REASON_BYTES].decode(errors="ignore")

"""What every job's process does alike: settings, JSON logs, an end on SIGTERM, the report as the termination message."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, PositiveFloat
from pythonjsonlogger.json import JsonFormatter

from search_plane.release.report import JobReport, Reason
from search_plane.tracing import TraceIds

T = TypeVar("T")

log = logging.getLogger("search_plane.jobs")


class ProcessSettings(BaseModel):
    """What the environment says to every job, by the upper-case names of these fields. Seconds."""

    release_file: Path = Path("/etc/search/release/release.json")
    report_file: Path = Path("/dev/termination-log")
    host: str = "0.0.0.0"  # noqa: S104  the kubelet and the operator ask from outside the pod
    port: int = 8080
    patience_seconds: PositiveFloat = 300.0

    @classmethod
    def from_environment(cls) -> Self:
        """Raises pydantic's ValidationError for a value that does not fit."""
        named = {name: os.environ.get(name.upper()) for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in named.items() if value})


def log_json() -> None:
    """One JSON object per line on standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s", timestamp=True, rename_fields={"levelname": "level"}
        )
    )
    handler.addFilter(TraceIds())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "elastic_transport", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def until_terminated(work: Coroutine[Any, Any, T]) -> T:
    """The work's result; SIGTERM or SIGINT cancels it."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    return await task


def failed(reason: Reason, message: str, release: str) -> JobReport:
    """The report of a job that ended without success."""
    return JobReport(
        result="Failed", reason=reason, message=message, release=release, finished_at=datetime.now(UTC)
    )


def write_report(report: JobReport, path: Path) -> None:
    """Writes it as the termination message; that nobody can is logged, for the exit code tells the result too."""
    try:
        path.write_text(report.to_termination_message(), encoding="utf-8")
    except OSError as error:
        log.warning("report not written", extra={"error": str(error)})


def one_line(error: Exception) -> str:
    """The error's text in one line of at most 500 characters."""
    return " ".join(str(error).split())[:500]

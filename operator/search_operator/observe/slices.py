"""Several workers as one: their reports and their progress, summed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import get_args

from search_plane.release.report import JobProgress, JobReport, Phase

BAD_KEPT = 20
_ORDER = {phase: number for number, phase in enumerate(get_args(Phase))}


def sum_of_reports(reports: Mapping[int, JobReport], slices: int) -> JobReport | None:
    """One report for all slices, or the newest of those that failed; None while one that is needed is missing.

    Counts and rates are summed, for the workers run side by side; the duration is the longest one's.
    """
    if slices == 1:
        return next(iter(reports.values()), None)
    told = [reports[number] for number in sorted(reports)]
    failed = [report for report in told if report.result == "Failed"]
    if failed:
        return max(failed, key=lambda report: report.finished_at)
    if len(told) < slices:
        return None
    watermarks = [report.watermark for report in told if report.watermark]
    return told[0].model_copy(
        update={
            "rows": sum(r.rows for r in told),
            "embedded": sum(r.embedded for r in told),
            "unchanged": sum(r.unchanged for r in told),
            "reused": sum(r.reused for r in told),
            "updated": sum(r.updated for r in told),
            "deleted": sum(r.deleted for r in told),
            "failed": sum(r.failed for r in told),
            "bad": tuple(bad for r in told for bad in r.bad)[:BAD_KEPT],
            "id_sets_equal": all(r.id_sets_equal for r in told),
            "watermark": min(watermarks) if len(watermarks) == slices else None,
            "duration_seconds": max(r.duration_seconds for r in told),
            "rows_per_second": sum(r.rows_per_second for r in told),
            "finished_at": max(r.finished_at for r in told),
        }
    )


def as_progress(report: JobReport) -> JobProgress:
    """A slice that has ended, as progress: everything of it is settled."""
    settled = report.embedded + report.unchanged + report.reused + report.updated + report.failed
    return JobProgress(
        phase="Done",
        done=settled,
        total=settled,
        embedded=report.embedded,
        unchanged=report.unchanged,
        reused=report.reused,
        updated=report.updated,
        deleted=report.deleted,
        failed=report.failed,
        started_at=report.finished_at - timedelta(seconds=report.duration_seconds),
    )


def sum_of_progress(parts: Sequence[JobProgress], slices: int) -> JobProgress | None:
    """Where all `slices` workers stand together; None when none is heard.

    A slice that is not heard counts as not begun and as large as the others are on average, which the hash makes it.
    The end is known only when every worker knows its own; the phase is that of the least advanced.
    """
    if not parts:
        return None
    if slices == 1:
        return parts[0]
    running = [part for part in parts if part.phase != "Done"]
    unheard = slices - len(parts)
    etas = [part.eta_seconds for part in running]
    known = [eta for eta in etas if eta is not None]
    total = sum(part.total for part in parts)
    return JobProgress(
        phase="Starting" if unheard else min((part.phase for part in parts), key=_ORDER.__getitem__),
        done=sum(part.done for part in parts),
        total=total + round(total / len(parts)) * unheard,
        embedded=sum(part.embedded for part in parts),
        unchanged=sum(part.unchanged for part in parts),
        reused=sum(part.reused for part in parts),
        updated=sum(part.updated for part in parts),
        deleted=sum(part.deleted for part in parts),
        failed=sum(part.failed for part in parts),
        rows_per_second=sum(part.rows_per_second for part in running),
        eta_seconds=max(known) if known and len(known) == len(etas) and not unheard else None,
        started_at=min(part.started_at for part in parts),
    )

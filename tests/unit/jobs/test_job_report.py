"""A report always fits into a termination message, and is recognised there."""

from datetime import UTC, datetime

import pytest
from search_plane.release.report import MAX_MESSAGE_BYTES, BadDocument, JobReport

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def report(message: str = "done", bad: int = 0, reason: str = "title is missing") -> JobReport:
    return JobReport(
        result="Succeeded",
        reason="Completed",
        message=message,
        release="r-12345678",
        failed=bad,
        bad=tuple(BadDocument(id=f"p-{number}", reason=reason) for number in range(bad)),
        finished_at=NOW,
    )


def test_a_small_report_is_written_whole_and_read_back() -> None:
    written = report(bad=3)
    assert JobReport.from_termination_message(written.to_termination_message()) == written


@pytest.mark.parametrize("reason", ["标题缺失" * 40, "x" * 5000])
def test_a_large_report_loses_names_from_the_end_but_no_count(reason: str) -> None:
    message = report(bad=20, reason=reason).to_termination_message()
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    read = JobReport.from_termination_message(message)
    assert read is not None
    assert read.failed == 20
    assert [document.id for document in read.bad] == [f"p-{number}" for number in range(len(read.bad))]
    assert len(read.bad) < 20


@pytest.mark.parametrize("length", [3_500, 4_000, 100_000])
@pytest.mark.parametrize("character", ["x", "货", '"', "\n", "🧧"])
def test_a_long_message_is_cut_after_the_names_are_gone(length: int, character: str) -> None:
    message = report(message=character * length, bad=5).to_termination_message()
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    read = JobReport.from_termination_message(message)
    assert read is not None
    assert read.message.rstrip("…") == character * len(read.message.rstrip("…"))


@pytest.mark.parametrize(
    "text", ["", "Killed", '{"kind":"something else"}', '{"kind":"semanticsearch.io/job-report.v1"}']
)
def test_what_is_no_report_is_not_read_as_one(text: str) -> None:
    assert JobReport.from_termination_message(text) is None

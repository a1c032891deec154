"""What a job's environment may say, and how Kubernetes tells a worker its slice."""

import pytest
from pydantic import ValidationError
from search_plane.jobs.scan import Slice
from search_plane.jobs.sync_command import JobSettings


def test_a_job_without_slices_does_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLICES", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    assert JobSettings.from_environment().part == Slice(0, 1)


def test_a_worker_is_told_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLICES", "4")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    assert JobSettings.from_environment().part == Slice(3, 4)


@pytest.mark.parametrize(("number", "of"), [("2", "2"), ("-1", "2"), ("0", "0"), ("one", "2")])
def test_a_slice_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, number: str, of: str) -> None:
    monkeypatch.setenv("SLICES", of)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", number)
    with pytest.raises(ValidationError):
        JobSettings.from_environment()

"""The verify job's process: settings, and a report that always fits."""

import pytest
from pydantic import ValidationError
from search_plane.jobs.verify_command import VerifySettings, measured
from search_plane.release.report import MAX_MESSAGE_BYTES, JobReport, Verification


@pytest.mark.parametrize("character", ["x", "货", '"', "\\", "\n", "🧧"])
def test_reasons_of_any_length_fit_into_the_termination_message(character: str) -> None:
    why = {name: character * 5000 for name in Verification.model_fields if name != "why"}
    report = measured(Verification(rows=10**9, p95_ms=12345.678901, why=why), "r-12345678")
    message = report.to_termination_message()
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    read = JobReport.from_termination_message(message)
    assert read is not None
    assert read.verification is not None
    assert read.verification.why.keys() == why.keys()


def test_a_whole_measurement_survives_the_message() -> None:
    found = Verification(rows=7, missing=0, encoder_sound=True, recall=0.99, why={"overlap": "no active one"})
    report = measured(found, "r-12345678")
    read = JobReport.from_termination_message(report.to_termination_message())
    assert read is not None
    assert (read.result, read.rows, read.verification) == ("Succeeded", 7, found)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVE_FILE", "/elsewhere/active.json")
    monkeypatch.setenv("RECALL_ROWS", "500")
    settings = VerifySettings.from_environment()
    assert str(settings.active_file) == "/elsewhere/active.json"
    assert str(settings.judged_file) == "/etc/search/judged/judged.jsonl"
    assert settings.sizes.recall_rows == 500
    monkeypatch.setenv("RECALL_ROWS", "none")
    with pytest.raises(ValidationError):
        VerifySettings.from_environment()

"""The operator's environment: what is wrong is named."""

import pytest
from search_operator.run import main
from search_operator.run.settings import settings_from

GIVEN = {"PLANE_IMAGE": "plane:1"}


@pytest.mark.parametrize(("text", "on"), [("on", True), ("off", False)])
def test_the_metrics_api_can_be_switched_off(text: str, on: bool) -> None:
    assert settings_from({**GIVEN, "METRICS_API": text}).metrics_api is on
    assert settings_from(GIVEN).metrics_api is True


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="METRICS_API is 'false'; write on or off"):
        settings_from({**GIVEN, "METRICS_API": "false"})


@pytest.mark.parametrize(
    ("environment", "told"),
    [({}, "PLANE_IMAGE"), ({**GIVEN, "METRICS_API": "no"}, "METRICS_API is 'no'")],
)
def test_the_operator_does_not_start_and_says_why(
    environment: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("PLANE_IMAGE", "METRICS_API"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main.main() == 2
    assert told in capsys.readouterr().err

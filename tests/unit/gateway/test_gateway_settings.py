"""The gateway's environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from search_plane.gateway.settings import Settings


def test_defaults_are_the_contracts() -> None:
    settings = Settings.from_environment({"PATH": "/bin", "PORT": ""})
    assert settings.release_file == Path("/etc/search/release/release.json")
    assert settings.port == 8080
    assert settings.next_file == Path("/etc/search/release/next.json")
    assert (settings.encoder_timeout_ms, settings.milvus_timeout_ms, settings.es_timeout_ms) == (
        1000,
        1500,
        500,
    )
    assert (settings.encoder_hedge_ms, settings.milvus_hedge_ms, settings.poll_seconds) == (200, 150, 0.2)
    assert settings.total_timeout_ms == 2000


def test_the_environment_overrides_them() -> None:
    settings = Settings.from_environment({"PORT": "9090", "ES_TIMEOUT_MS": "50", "RELEASE_FILE": "/r.json"})
    assert settings.next_file == Path("/next.json")
    assert (settings.port, settings.es_timeout_ms, settings.release_file) == (9090, 50, Path("/r.json"))


@pytest.mark.parametrize("value", ["0", "-5", "fast", "5００ms", "1e9"])
def test_a_wrong_value_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValidationError, match="milvus_timeout_ms"):
        Settings.from_environment({"MILVUS_TIMEOUT_MS": value})

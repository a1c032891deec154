"""The environment of the encoder, and how many cores it takes."""

import os
from pathlib import Path

import pytest
from search_plane.encoder.settings import Settings, SettingsError, available_cores
from search_plane.release.identity import EncoderIdentity

IDENTITY = EncoderIdentity(
    model="m",
    revision="1",
    weights=f"artefact:sha256:{'0' * 64}",
    dimension=8,
    pooling="mean",
    max_tokens=16,
    precision="fp32",
    text_template="{title}",
)
AFFINITY = len(os.sched_getaffinity(0))


def test_what_is_not_said_has_the_contract_s_defaults() -> None:
    settings = Settings.from_env({"ENCODER_IDENTITY": IDENTITY.model_dump_json()})
    assert settings.identity == IDENTITY
    assert settings.model_dir == Path("/models")
    assert (settings.port, settings.max_batch_tokens, settings.max_batch_size) == (8080, 1024, 32)
    assert settings.threads == available_cores()
    assert (settings.reranker_dir, settings.device) == (None, "auto")


def test_what_is_said_is_taken() -> None:
    env = {"ENCODER_IDENTITY": IDENTITY.model_dump_json(), "MODEL_DIR": "/m", "PORT": "9", "THREADS": "3"}
    settings = Settings.from_env({**env, "MAX_QUEUE_TOKENS": "77", "PROBE_SECONDS": "0.5"})
    assert (settings.model_dir, settings.port, settings.threads) == (Path("/m"), 9, 3)
    assert (settings.max_queue_tokens, settings.probe_seconds) == (77, 0.5)
    more = {
        "RERANKER_DIR": "/r",
        "RERANKER_WEIGHTS": "artefact:sha256:1",
        "MAX_RERANK_TOKENS": "5",
        "DEVICE": "cuda",
    }
    settings = Settings.from_env({**env, **more})
    assert (settings.reranker_dir, settings.reranker_weights) == (Path("/r"), "artefact:sha256:1")
    assert (settings.max_rerank_tokens, settings.device) == (5, "cuda")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ENCODER_IDENTITY": ""}, "ENCODER_IDENTITY: expected the encoder's identity"),
        ({"ENCODER_IDENTITY": "{}"}, "ENCODER_IDENTITY: model: Field required"),
        ({"MAX_BATCH_TOKENS": "many"}, "MAX_BATCH_TOKENS: expected a number of at least 1, found 'many'"),
        ({"MAX_BATCH_SIZE": "0"}, "MAX_BATCH_SIZE: expected a number of at least 1, found '0'"),
        ({"DEVICE": "gpu"}, "DEVICE: expected one of auto, cuda, cpu, found 'gpu'"),
        ({"PROBE_SECONDS": "nan"}, "PROBE_SECONDS: expected a number"),
    ],
)
def test_what_is_wrong_is_named(env: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.from_env({"ENCODER_IDENTITY": IDENTITY.model_dump_json(), **env})


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "max 100000"}, AFFINITY),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000000 100000"}, AFFINITY),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, AFFINITY),
        ({}, AFFINITY),
    ],
)
def test_cores_follow_the_cgroup_s_quota(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert available_cores(tmp_path) == cores

"""Artefacts: the same content is the same digest, and whatever differs is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from search_plane.encoder.artefact import (
    ArtefactError,
    Probe,
    check_identity,
    load_artefact,
    pinned_digest,
    write_artefact,
)

from tests.testbed.weights.context import weights_context
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact


@pytest.fixture
def artefact(tiny_encoder: WeightsFolder, tmp_path: Path) -> WeightsFolder:
    """A copy that a test may damage."""
    return WeightsFolder(Path(shutil.copytree(tiny_encoder.path, tmp_path / "copy")), tiny_encoder.identity)


def test_a_sound_artefact_loads(artefact: WeightsFolder) -> None:
    loaded = load_artefact(artefact.path, artefact.digest)
    assert loaded.digest == artefact.digest
    assert loaded.probe_vectors.shape == (3, artefact.identity.dimension)
    np.testing.assert_allclose(np.linalg.norm(loaded.probe_vectors, axis=1), 1, atol=1e-4)


def test_equal_content_gives_an_equal_digest(artefact: WeightsFolder, tmp_path: Path) -> None:
    assert tiny_artefact(tmp_path / "again") == artefact.identity
    assert tiny_artefact(tmp_path / "other", seed=1).weights != artefact.identity.weights


def test_the_tiny_artefact_is_small(artefact: WeightsFolder) -> None:
    assert sum(path.stat().st_size for path in artefact.path.iterdir()) < 2 * 1024 * 1024


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "probes.json"])
def test_a_changed_byte_is_found_and_named(artefact: WeightsFolder, name: str) -> None:
    path = artefact.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ArtefactError, match=rf"{name}: expected sha256 [0-9a-f]{{64}}, found [0-9a-f]{{64}}$"
    ):
        load_artefact(artefact.path, artefact.digest)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_missing_file_is_named(artefact: WeightsFolder, name: str) -> None:
    (artefact.path / name).unlink()
    with pytest.raises(ArtefactError, match=f"{name}: expected a file, found No such file"):
        load_artefact(artefact.path, artefact.digest)


def test_another_manifest_than_the_pinned_one_is_refused(artefact: WeightsFolder) -> None:
    with pytest.raises(
        ArtefactError, match=f"manifest.json: expected sha256 {'0' * 64}, found {artefact.digest}"
    ):
        load_artefact(artefact.path, "0" * 64)


def test_a_manifest_that_is_none_is_refused(artefact: WeightsFolder) -> None:
    (artefact.path / "manifest.json").write_text('{"kind": "something/else"}')
    with pytest.raises(ArtefactError, match=r"manifest.json: kind: "):
        load_artefact(artefact.path, None)


def test_an_artefact_needs_three_probes_of_its_dimension(tmp_path: Path) -> None:
    def write(*probes: Probe) -> None:
        write_artefact(
            tmp_path,
            model_onnx=b"",
            tokenizer_json=b"",
            probes=probes,
            model="m",
            revision="1",
            dimension=2,
            pooling="cls",
            max_tokens=8,
            precision="fp32",
            source="",
            licence="",
        )

    good = Probe(text="米", vector=(1.0, 0.0))
    with pytest.raises(ArtefactError, match="expected at least 3 probes, found 2"):
        write(good, good)
    with pytest.raises(ArtefactError, match="'面': expected 2 components, found 1"):
        write(good, good, Probe(text="面", vector=(1.0,)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dimension": 768}, "dimension: the identity says 768, the artefact of tiny-random 32"),
        ({"pooling": "cls"}, "pooling: the identity says cls, the artefact of tiny-random mean"),
        ({"precision": "fp16"}, "precision: the identity says fp16, the artefact of tiny-random fp32"),
        (
            {"max_tokens": 65},
            "max_tokens: the identity says 65, the artefact of tiny-random takes at most 64",
        ),
    ],
)
def test_an_identity_that_asks_for_something_else_is_refused(
    artefact: WeightsFolder, change: dict[str, object], sentence: str
) -> None:
    manifest = load_artefact(artefact.path, None).manifest
    check_identity(artefact.identity, manifest)
    with pytest.raises(ArtefactError, match=sentence):
        check_identity(artefact.identity.model_copy(update=change), manifest)


@pytest.mark.parametrize(
    ("weights", "digest"),
    [(f"artefact:sha256:{'ab' * 32}", "ab" * 32), (f"image:sha256:{'cd' * 32}", None)],
)
def test_what_pins_the_weights(weights: str, digest: str | None) -> None:
    assert pinned_digest(weights) == digest


@pytest.mark.parametrize("weights", ["", "latest", "artefact:sha256:ab", f"artefact:sha256:{'XY' * 32}"])
def test_weights_that_pin_nothing_are_refused(weights: str) -> None:
    with pytest.raises(ArtefactError, match="weights of the identity: expected artefact:sha256:"):
        pinned_digest(weights)


def test_the_weights_image_holds_the_artefact_and_nothing_else(
    artefact: WeightsFolder, tmp_path: Path
) -> None:
    context = weights_context(artefact.path, tmp_path / "context")
    weights_context(artefact.path, context)
    assert {path.name for path in context.iterdir()} == {
        "Dockerfile",
        "manifest.json",
        "model.onnx",
        "probes.json",
        "tokenizer.json",
    }
    assert (context / "Dockerfile").read_text().splitlines() == [
        "FROM scratch",
        "COPY manifest.json model.onnx probes.json tokenizer.json /",
    ]
    assert load_artefact(context, artefact.digest).manifest == load_artefact(artefact.path, None).manifest

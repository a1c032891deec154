"""Packing: what is exported elsewhere becomes an artefact that the encoder loads."""

import json
from pathlib import Path

import pytest
from search_plane.encoder import packing
from search_plane.encoder.artefact import load_artefact
from search_plane.encoder.service import load
from search_plane.encoder.session import SessionError
from search_plane.encoder.settings import Settings
from search_plane.release.models import known_model

from tests.testbed.weights.tiny import tiny_artefact


def test_a_packed_model_is_pinned_loads_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The tiny model with the dimension of a known one stands for the export of that model.
    model = known_model("m3e-small")
    identity = tiny_artefact(tmp_path / "export", dimension=model.dimension)
    arguments = {
        "model": model.name,
        "revision": "1.0.0",
        "onnx": tmp_path / "export" / "model.onnx",
        "tokenizer": tmp_path / "export" / "tokenizer.json",
        "source": "a test",
        "out": tmp_path / "packed",
    }
    line = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    assert packing.main([*line, "--as-published"]) == 0
    pin = capsys.readouterr().out.strip()
    artefact = load_artefact(tmp_path / "packed", pin.removeprefix("artefact:sha256:"))
    assert (artefact.manifest.model, artefact.manifest.pooling) == ("m3e-small", "mean")
    assert artefact.probe_texts == packing.PROBE_TEXTS
    packed = identity.model_copy(update={"weights": pin, "model": model.name, "revision": "1.0.0"})
    assert load(Settings(packed, tmp_path / "packed")).artefact.digest == artefact.digest


def test_another_shape_than_the_model_s_is_refused(tmp_path: Path) -> None:
    tiny_artefact(tmp_path)
    with pytest.raises(SessionError, match=r"expected shape \[batch, tokens, 768\], found .*32"):
        packing.probes_of(
            tmp_path / "model.onnx", (tmp_path / "tokenizer.json").read_bytes(), known_model("m3e-base")
        )


def test_the_normaliser_is_folded_in_and_nothing_else_changes() -> None:
    published = {
        "version": "1.0",
        "normalizer": {"type": "BertNormalizer", "lowercase": False},
        "model": {"a": 1},
    }
    folded = json.loads(packing.normalising_tokenizer(json.dumps(published).encode()))
    assert [part["type"] for part in folded["normalizer"]["normalizers"]] == ["NFKC", "BertNormalizer"]
    assert folded["normalizer"]["normalizers"][1]["lowercase"] is True
    assert {**folded, "normalizer": None} == {**published, "normalizer": None}

"""`encoder export-reranker`: the artefact's scores are sentence-transformers' own, for each architecture."""

from pathlib import Path

import numpy as np
import pytest
from search_plane.encoder.exporting import ExportRefused
from search_plane.release.identity import Precision
from search_plane.reranker import exporting
from search_plane.reranker.artefact import load_reranker
from search_plane.reranker.pairs import PairTokeniser
from search_plane.reranker.session import CrossEncoderSession
from sentence_transformers import CrossEncoder

from tests.torch_lane.small_models import corpus, cross_encoder


@pytest.fixture(scope="module", params=["bert", "xlm-r"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    """A small cross-encoder with random weights."""
    return cross_encoder(tmp_path_factory.mktemp(str(request.param)), str(request.param))


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-3), ("fp16", 0.02), ("int8", 0.2)])
def test_exported_scores_are_the_model_s_own(
    published: CrossEncoder, precision: Precision, most: float, tmp_path: Path
) -> None:
    digest = exporting.export(
        published,
        name="small",
        revision="1",
        precision=precision,
        source="a test",
        licence="none needed",
        out=tmp_path,
    )
    artefact = load_reranker(tmp_path, digest)
    # Short and long texts beside each other, so that padding shows; the longest is cut.
    titles = corpus()[:30]
    pairs = [("便宜的耳机", title) for title in titles] + [("".join(titles[:3]), "".join(titles[:9]))]
    rows, cut = PairTokeniser(artefact.tokenizer_path, artefact.manifest.max_tokens).encode(pairs)
    assert cut == [30]
    scores = CrossEncoderSession(artefact.model_path, 1).run(rows)[:, 0]
    own = exporting.own_scores(published, pairs)
    spread = float(np.ptp(own))
    assert spread > 0.1
    np.testing.assert_allclose(scores, own, atol=most * max(1.0, spread))
    if precision == "fp32":
        assert np.argsort(-scores, kind="stable").tolist() == np.argsort(-own, kind="stable").tolist()


def test_a_folded_tokenizer_reads_capitals_and_full_width_forms(tmp_path: Path) -> None:
    exporting.export(
        cross_encoder(tmp_path / "model", "bert"),
        name="small",
        revision="1",
        precision="fp32",
        source="",
        licence="",
        out=tmp_path / "out",
        fold=True,
    )
    tokeniser = PairTokeniser(load_reranker(tmp_path / "out", None).tokenizer_path, 60)
    rows, _ = tokeniser.encode([("USB 充电器", "５KG"), ("usb 充电器", "5kg")])
    assert rows[0] == rows[1]


def test_a_model_with_several_scores_is_refused(published: CrossEncoder, tmp_path: Path) -> None:
    classifier = CrossEncoder(
        published.model.name_or_path,
        device="cpu",
        num_labels=3,
        model_kwargs={"ignore_mismatched_sizes": True},
    )
    with pytest.raises(ExportRefused, match="gives 3 scores a pair, expected 1"):
        exporting.export(
            classifier,
            name="small",
            revision="1",
            precision="fp32",
            source="",
            licence="",
            out=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


def test_the_command_prints_a_pin_that_loads(
    published: CrossEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.save_pretrained(str(tmp_path / "model"))
    arguments = [
        "--name", "ours", "--from", str(tmp_path / "model"), "--revision", "7", "--source", "a test",
        "--licence", "MIT", "--max-tokens", "40", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert exporting.main(arguments) == 0
    pin = capsys.readouterr().out.strip()
    manifest = load_reranker(tmp_path / "out", pin.removeprefix("artefact:sha256:")).manifest
    assert (manifest.model, manifest.revision, manifest.max_tokens) == ("ours", "7", 40)

"""`encoder export`: what sentence-transformers gives, the artefact gives too, for each architecture and precision."""

from pathlib import Path

import numpy as np
import pytest
from search_plane.encoder import exporting
from search_plane.encoder.artefact import load_artefact
from search_plane.encoder.pooling import FloatArray, normalised
from search_plane.encoder.session import OnnxSession
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.release.identity import Precision
from search_plane.release.models import KnownModel
from sentence_transformers import SentenceTransformer

from tests.torch_lane.small_models import HIDDEN, bert, corpus, xlm_roberta

ARCHITECTURES = ("bert-mean", "bert-cls", "xlm-r")
MAX_TOKENS = 64


@pytest.fixture(scope="module", params=ARCHITECTURES)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SentenceTransformer, KnownModel]:
    """A small model and what the catalogue would say of it."""
    folder = tmp_path_factory.mktemp(request.param)
    name = str(request.param)
    made = xlm_roberta(folder) if name == "xlm-r" else bert(folder, "cls" if name == "bert-cls" else "mean")
    prefixes = ("query: ", "passage: ") if name == "xlm-r" else ("", "")
    return made, KnownModel(
        name=name,
        dimension=HIDDEN,
        pooling="cls" if name == "bert-cls" else "mean",
        query_prefix=prefixes[0],
        document_prefix=prefixes[1],
        max_tokens=MAX_TOKENS,
        licence="none needed",
        source="a test",
    )


def served(folder: Path, texts: list[str]) -> FloatArray:
    """The vectors as the encoder computes them, all texts in one padded batch."""
    artefact = load_artefact(folder, None)
    tokeniser = TextTokeniser(artefact.tokenizer_path, artefact.manifest.max_tokens)
    session = OnnxSession(artefact.model_path, artefact.manifest.pooling, artefact.manifest.dimension, 1)
    return normalised(session.run([tokeniser.cut(ids) for ids in tokeniser.encode(texts)]))


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "traced"])
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("fp16", 0.999), ("int8", 0.95)])
def test_exported_vectors_are_the_model_s_own(
    published: tuple[SentenceTransformer, KnownModel],
    precision: Precision,
    least: float,
    fuse: bool,
    tmp_path: Path,
) -> None:
    model, described = published
    exporting.export(
        model, described, revision="1", precision=precision, source="a test", out=tmp_path, fuse=fuse,
        as_published=True,
    )  # fmt: skip
    # Short and long ones beside each other, so that padding shows; the longest is cut.
    texts = [
        described.query_prefix + "耳机",
        *corpus()[:30],
        described.document_prefix + "".join(corpus()[:20]),
    ]
    own = np.asarray(model.encode(texts, normalize_embeddings=True, batch_size=4))
    cosines = (served(tmp_path, texts) * own).sum(axis=1)
    assert cosines.min() >= least, cosines
    # Different texts are told apart, so that the figure above says something.
    assert np.ptp(own @ own[0]) > 0.01


def test_another_pooling_than_the_catalogue_s_is_refused(
    published: tuple[SentenceTransformer, KnownModel], tmp_path: Path
) -> None:
    model, described = published
    other = described.model_copy(update={"pooling": "mean" if described.pooling == "cls" else "cls"})
    with pytest.raises(exporting.ExportRefused, match=r"pooling: expected (cls|mean)"):
        exporting.export(model, other, revision="1", precision="fp32", source="a test", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_an_artefact_of_a_model_of_one_s_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bert(tmp_path / "parts", "mean").save(str(tmp_path / "model"))
    arguments = [
        "--model",
        "ours",
        "--from",
        str(tmp_path / "model"),
        "--revision",
        "7",
        "--source",
        "a test",
    ]
    assert exporting.main([*arguments, "--out", str(tmp_path / "out")]) == 1
    assert "--licence" in capsys.readouterr().err
    assert exporting.main([*arguments, "--licence", "MIT", "--out", str(tmp_path / "out")]) == 0
    pin = capsys.readouterr().out.strip()
    manifest = load_artefact(tmp_path / "out", pin.removeprefix("artefact:sha256:")).manifest
    assert (manifest.model, manifest.dimension, manifest.pooling) == ("ours", HIDDEN, "mean")
    assert manifest.max_tokens == MAX_TOKENS

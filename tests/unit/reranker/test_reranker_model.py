"""The re-ranker's artefact, its pairs, and its session."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from search_plane.encoder.artefact import ArtefactError, load_artefact, pinned_digest
from search_plane.encoder.session import SessionError
from search_plane.reranker.artefact import load_reranker
from search_plane.reranker.pairs import PairIds, PairTokeniser
from search_plane.reranker.service import verdict
from search_plane.reranker.session import CrossEncoderSession

from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny_reranker import MAX_TOKENS, TINY_RERANKER, TinyReranker, write_tiny_reranker


def test_a_sound_artefact_loads_and_is_pinned(tiny_reranker: TinyReranker, tmp_path: Path) -> None:
    loaded = load_reranker(tiny_reranker.path, pinned_digest(tiny_reranker.weights))
    assert (loaded.manifest.model, loaded.manifest.max_tokens) == (TINY_RERANKER, MAX_TOKENS)
    assert loaded.probe_scores.shape == (len(loaded.probe_pairs),)
    # Random, but no two alike: a probe that can't tell models apart would be none.
    assert np.ptp(loaded.probe_scores) > 0.1
    assert write_tiny_reranker(tmp_path / "again").weights == tiny_reranker.weights
    assert write_tiny_reranker(tmp_path / "other", seed=4).weights != tiny_reranker.weights


def test_a_changed_byte_and_another_kind_of_artefact_are_refused(
    tiny_reranker: TinyReranker, tiny_encoder: WeightsFolder, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_reranker.path, tmp_path / "copy"))
    (copy / "probes.json").write_bytes((copy / "probes.json").read_bytes() + b" ")
    with pytest.raises(ArtefactError, match=r"probes.json: expected sha256 "):
        load_reranker(copy, None)
    with pytest.raises(ArtefactError, match=r"manifest.json: kind: "):
        load_reranker(tiny_encoder.path, None)
    with pytest.raises(ArtefactError, match=r"manifest.json: kind: "):
        load_artefact(tiny_reranker.path, None)
    with pytest.raises(SessionError, match=r"expected shape \[batch, 1\]"):
        CrossEncoderSession(tiny_encoder.path / "model.onnx", 1)


def test_the_second_text_has_types_of_its_own_and_the_longer_is_cut(tiny_reranker: TinyReranker) -> None:
    tokeniser = PairTokeniser(tiny_reranker.path / "tokenizer.json", MAX_TOKENS)
    (short, cut_text, cut_query), cut = tokeniser.encode(
        [("米饭", "大米"), ("米", "米" * 100), ("米" * 100, "大米")]
    )
    # [CLS] 米 饭 [SEP] | 大 米 [SEP]
    assert (len(short), short.second) == (7, 4)
    assert (len(cut_text), cut_text.second) == (MAX_TOKENS, 3)
    assert (len(cut_query), cut_query.second) == (MAX_TOKENS, MAX_TOKENS - 3)
    assert cut == [1, 2]


def test_scores_depend_on_neither_neighbours_nor_padding_but_on_the_types(
    tiny_reranker: TinyReranker,
) -> None:
    loaded = load_reranker(tiny_reranker.path, None)
    session = CrossEncoderSession(loaded.model_path, 1)
    rows, _ = PairTokeniser(loaded.tokenizer_path, MAX_TOKENS).encode(loaded.probe_pairs)
    together = session.run(rows)
    assert together.shape == (len(rows), 1)
    np.testing.assert_allclose(together[:, 0], loaded.probe_scores, atol=1e-4)
    one_text = session.run([PairIds(rows[0], len(rows[0]))])
    assert abs(one_text[0, 0] - together[0, 0]) > 1e-3


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([1.0, -2.0, 0.5], None),
        ([1.02, -2.02, 0.5], None),
        ([1.0, -2.0, 0.54], "a probe's score is 0.5400, expected 0.5000 within 0.0300"),
        ([1.0, np.nan, 0.5], "not finite"),
        ([1.0, -2.0], "expected (3,)"),
    ],
)
def test_the_verdict_on_probes(scores: list[float], says: str | None) -> None:
    found = verdict(np.array(scores, np.float32), np.array([1.0, -2.0, 0.5], np.float32))
    assert found is None if says is None else says in str(found)


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error(tiny_reranker: TinyReranker) -> None:
    with pytest.raises(SessionError, match=r"device cuda: .*take the image with CUDA|could not use the GPU"):
        CrossEncoderSession(tiny_reranker.path / "model.onnx", 1, "cuda")
    assert CrossEncoderSession(tiny_reranker.path / "model.onnx", 1, "auto").device in ("cpu", "cuda")

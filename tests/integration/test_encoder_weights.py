"""The real Chinese weights: meaning, exactness, and the pinned digest."""

import hashlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from search_plane.encoder.artefact import MANIFEST_FILE, load_artefact
from search_plane.encoder.pooling import FloatArray, normalised
from search_plane.encoder.session import OnnxSession, SessionError
from search_plane.encoder.tokenising import TextTokeniser

from tests.testbed.plane import EncoderServer
from tests.testbed.weights.bge import BGE_SMALL_ZH_DIGEST, BGE_SMALL_ZH_V15_DIGEST, MODEL
from tests.testbed.weights.folder import WeightsFolder

pytestmark = pytest.mark.weights

# Cosines read from this model with CLS pooling; another pooling or tokenizer is off by far more than the tolerance.
KNOWN_COSINES = [
    ("便宜的蓝牙耳机", "高性价比无线耳机", 0.765),
    ("便宜的蓝牙耳机", "大米 5kg", 0.279),
    ("便宜的蓝牙耳机", "小米手机充电器", 0.399),
    ("便宜", "实惠", 0.748),
    ("小米手机", "大米 5kg", 0.545),
]
# The same of the model before it, whose cosines all lie higher.
OLDER_COSINES = [
    ("便宜的蓝牙耳机", "高性价比无线耳机", 0.905),
    ("便宜的蓝牙耳机", "大米 5kg", 0.725),
    ("便宜", "实惠", 0.932),
]
TOLERANCE = 0.002


@pytest.fixture(scope="module")
def session(bge_artefact: WeightsFolder) -> OnnxSession:
    """The model."""
    return OnnxSession(bge_artefact.path / "model.onnx", MODEL.pooling, MODEL.dimension, threads=2)


@pytest.fixture(scope="module")
def tokeniser(bge_artefact: WeightsFolder) -> TextTokeniser:
    """The tokenizer."""
    return TextTokeniser(bge_artefact.path / "tokenizer.json", MODEL.max_tokens)


@pytest.fixture(scope="module")
def url(bge_artefact: WeightsFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the real weights."""
    with EncoderServer(bge_artefact, tmp_path_factory.mktemp("encoder")) as server:
        yield server.url


def embed(url: str, texts: list[str]) -> FloatArray:
    """Vectors by HTTP."""
    answer = httpx.post(f"{url}/embed", json={"inputs": texts}, timeout=120).raise_for_status()
    return np.array(answer.json(), np.float32)


def titles(count: int) -> list[str]:
    """Made-up product titles of 3 to 60 characters, always the same."""
    chance = random.Random(7)
    characters = "小米红华为荣耀蓝牙耳机无线降噪高性价比便宜实惠手充电器快线保健品老人送礼大五常香家用"
    return ["".join(chance.choices(characters, k=chance.randint(3, 60))) for _ in range(count)]


def test_the_digest_is_the_pinned_one(bge_artefact: WeightsFolder) -> None:
    manifest = (bge_artefact.path / MANIFEST_FILE).read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == BGE_SMALL_ZH_V15_DIGEST
    assert json.loads(manifest)["model"] == "bge-small-zh-v1.5"


@pytest.mark.parametrize(("one", "other", "cosine"), KNOWN_COSINES)
def test_meaning_is_as_known(url: str, one: str, other: str, cosine: float) -> None:
    vectors = embed(url, [one, other])
    assert float(vectors[0] @ vectors[1]) == pytest.approx(cosine, abs=TOLERANCE)


def test_cheap_earphones_are_nearer_to_good_value_ones_than_to_rice(url: str) -> None:
    query, near, far = embed(url, ["便宜的蓝牙耳机", "高性价比无线耳机", "大米 5kg"])
    assert query @ near > query @ far + 0.3


@pytest.mark.parametrize(
    ("written", "same"),
    [("USB充电器", "usb充电器"), ("ＵＳＢ充电器", "USB充电器"), ("５ＫＧ大米", "5kg大米")],
)
def test_capitals_and_full_width_forms_are_read(url: str, written: str, same: str) -> None:
    one, other = embed(url, [written, same])
    np.testing.assert_array_equal(one, other)
    assert float(embed(url, [written])[0] @ embed(url, ["充电器大米"])[0]) < 0.95


def test_no_character_of_a_product_title_is_unknown(tokeniser: TextTokeniser) -> None:
    unknown = tokeniser.encode(["[UNK]"])[0][1]
    (ids,) = tokeniser.encode(["Apple iPhone 17 Pro 256GB ＵＳＢ－Ｃ 快充 ￥5999 小米14 MIX 4K 120Hz"])
    assert unknown not in ids


def test_vectors_are_bit_identical_whatever_the_batch(session: OnnxSession, tokeniser: TextTokeniser) -> None:
    ids = tokeniser.encode(titles(48))
    alone = np.concatenate([session.run([one]) for one in ids])
    order = list(range(len(ids)))
    for size in (5, 32, 48):
        random.Random(size).shuffle(order)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            np.testing.assert_array_equal(session.run([ids[row] for row in rows]), alone[rows])


def test_vectors_are_bit_identical_whatever_else_is_asked_meanwhile(url: str) -> None:
    texts = titles(96)
    alone = embed(url, texts)
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(lambda text: embed(url, [text])[0], texts))
    np.testing.assert_array_equal(np.stack(together), alone)


def test_the_recorded_probes_are_what_the_model_gives(
    bge_artefact: WeightsFolder, session: OnnxSession, tokeniser: TextTokeniser
) -> None:
    artefact = load_artefact(bge_artefact.path, BGE_SMALL_ZH_V15_DIGEST)
    vectors = normalised(session.run(tokeniser.encode(artefact.probe_texts)))
    np.testing.assert_allclose(vectors, artefact.probe_vectors, atol=1e-5)


def test_a_wrong_pooling_would_be_seen_by_the_probes(
    bge_artefact: WeightsFolder, tokeniser: TextTokeniser
) -> None:
    artefact = load_artefact(bge_artefact.path, BGE_SMALL_ZH_V15_DIGEST)
    averaging = OnnxSession(artefact.model_path, "mean", MODEL.dimension, threads=1)
    vectors = normalised(averaging.run(tokeniser.encode(artefact.probe_texts)))
    assert ((vectors * artefact.probe_vectors).sum(axis=1) < 0.999).all()


def test_the_model_is_refused_where_another_dimension_is_expected(bge_artefact: WeightsFolder) -> None:
    with pytest.raises(SessionError, match=r"expected shape \[batch, tokens, 768\], found"):
        OnnxSession(bge_artefact.path / "model.onnx", "cls", 768, threads=1)


def test_the_second_encoder_is_another_space_of_the_same_dimension(
    older_bge_artefact: WeightsFolder, session: OnnxSession, tokeniser: TextTokeniser
) -> None:
    older = load_artefact(older_bge_artefact.path, BGE_SMALL_ZH_DIGEST)
    assert older.manifest.model == "bge-small-zh"
    with_older = OnnxSession(older.model_path, "cls", MODEL.dimension, threads=2)
    texts = [text for one, other, _ in OLDER_COSINES for text in (one, other)]
    vectors = normalised(with_older.run(tokeniser.encode(texts)))
    for number, (_, _, cosine) in enumerate(OLDER_COSINES):
        assert float(vectors[2 * number] @ vectors[2 * number + 1]) == pytest.approx(cosine, abs=TOLERANCE)
    # What a mismatched pair would compute: the same text is far from itself, and no error says so.
    across = (vectors * normalised(session.run(tokeniser.encode(texts)))).sum(axis=1)
    assert (across < 0.7).all()
    np.testing.assert_allclose(
        normalised(with_older.run(tokeniser.encode(older.probe_texts))), older.probe_vectors, atol=1e-5
    )

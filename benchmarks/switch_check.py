"""Checks a log of answers against vectors of its own: no code of the encoder, the jobs or the gateway is asked.

The published model and tokenizer are run here, over every text that any product ever had and over every query, for
both encoders. An answer names its release, the release's encoder is known, so each hit's score must be the cosine of
that encoder's query vector and that encoder's vector of some text of the product.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer, normalizers

from benchmarks.switch_log import BY_WORDS, CATALOGUE_AWAY, LESS_THAN_WHOLE, Answers, K, sku_name
from benchmarks.switch_writes import History, Version
from tests.testbed.weights.published import PublishedWeights

TOLERANCE = 2e-4
"""Of a cosine. Milvus computes in float32; the two encoders' cosines differ by a thousand times as much."""
DELETE_SECONDS = 1.0
"""How long after Elasticsearch said so a deleted product may still be in an answer."""
SAMPLE_EVERY = 10

_BATCH = 32
_EXAMPLES = 5

Vectors = NDArray[np.float32]


class ReferenceEncoder:
    """The published model, with the pooling and normalisation that its card asks for (CLS, NFKC, lower case)."""

    def __init__(self, weights: PublishedWeights) -> None:
        model, tokenizer = weights.original_files()
        self._tokenizer = Tokenizer.from_str(tokenizer.decode())
        self._tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]
        )
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(512)
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """float32 [texts, dimension], of length 1, in the texts' order."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        found: list[Vectors] = []
        for start in range(0, len(order), _BATCH):
            batch = self._tokenizer.encode_batch([texts[place] for place in order[start : start + _BATCH]])
            given = {
                "input_ids": np.array([one.ids for one in batch], np.int64),
                "attention_mask": np.array([one.attention_mask for one in batch], np.int64),
                "token_type_ids": np.array([one.type_ids for one in batch], np.int64),
            }
            (hidden,) = self._session.run(None, given)
            first: Vectors = hidden[:, 0]
            found.append(first / np.linalg.norm(first, axis=1, keepdims=True))
        result = np.empty((len(texts), found[0].shape[1]), np.float32)
        result[order] = np.concatenate(found)
        return result


def score_tables(
    encoders: Sequence[PublishedWeights], queries: Sequence[str], versions: Sequence[Version]
) -> dict[str, Vectors]:
    """By the model's name: cosines float32 [queries, versions]."""
    tables: dict[str, Vectors] = {}
    texts = list(dict.fromkeys(version.text for version in versions))
    place = {text: number for number, text in enumerate(texts)}
    columns = [place[version.text] for version in versions]
    for weights in encoders:
        encoder = ReferenceEncoder(weights)
        tables[weights.name] = (encoder.vectors(queries) @ encoder.vectors(texts).T)[:, columns]
    return tables


@dataclass
class Verdict:
    """What was found; counts are answers.

    - `failed`: no answer, or another status than 200.
    - `mismatched`: some hit's score is not what the named release's encoder gives for any text of that product, or
      the release is none that ever was.
    - `resurrected`: holds a product that was deleted longer ago than DELETE_SECONDS, although the catalogue was asked.
    - `degraded`: marked so; `doubted` of them for something else than the catalogue; `degraded_deleted` of them hold a
      deleted product, for nobody could ask.
    - `by_words`: marked as found by the query's words only, for the encoder or Milvus did not answer; no vector was
      involved, so their scores say nothing.
    - `short`: fewer than K hits, although nothing was dropped or marked.
    - `sampled`, `recall`, `worst_recall`: of the answers compared with brute force over the texts that never changed.
    """

    queries: int = 0
    failed: int = 0
    mismatched: int = 0
    resurrected: int = 0
    degraded: int = 0
    doubted: int = 0
    degraded_deleted: int = 0
    by_words: int = 0
    short: int = 0
    sampled: int = 0
    recall: float = 1.0
    worst_recall: float = 1.0
    examples: list[str] = field(default_factory=list)


class Checker:
    """The truth about one run: `tables` as of `score_tables`, `encoder_of` maps a release to its encoder."""

    def __init__(
        self, history: History, tables: Mapping[str, Vectors], encoder_of: Mapping[str, str]
    ) -> None:
        self._tables, self._encoder_of = tables, encoder_of
        versions = history.versions
        self._since = np.array([version.since for version in versions])
        products = np.array([version.product for version in versions], np.int64)
        self._known, slots, counts = np.unique(products, return_inverse=True, return_counts=True)
        # Rows of each product's versions, filled up with -1.
        self._rows = np.full((len(self._known), int(counts.max())), -1, np.int64)
        filled = np.zeros(len(self._known), np.int64)
        for row, slot in enumerate(slots):
            self._rows[slot, filled[slot]] = row
            filled[slot] += 1
        self._gone_asked = np.full(len(self._known), np.inf)
        self._gone = np.full(len(self._known), np.inf)
        for deletion in history.deletions:
            slot = int(np.searchsorted(self._known, deletion.product))
            self._gone_asked[slot], self._gone[slot] = deletion.asked, deletion.done
        first = self._rows[:, 0]
        self._stable = np.flatnonzero((counts == 1) & np.isneginf(self._since[first]))

    def check(self, answers: Answers) -> Verdict:
        """Everything but the releases' own plausibility is taken from the log."""
        good = answers[answers["status"] == 200]
        verdict = Verdict(queries=len(answers), failed=len(answers) - len(good))
        if len(good) == 0:
            return verdict
        slots, named = self._slots(good)
        wrong = np.zeros(len(good), bool)
        by_words = (good["degraded"] & BY_WORDS) > 0
        verdict.by_words = int(by_words.sum())
        for release in np.unique(good["release"]):
            chosen = good["release"] == release
            encoder = self._encoder_of.get(release.decode())
            if encoder is None:
                wrong |= chosen
            else:
                matches = self._matches(good[chosen], slots[chosen], self._tables[encoder])
                wrong[chosen] = ~matches.all(axis=1) & ~by_words[chosen]
        # A hit with an id that never was is no product of ours, whatever its score.
        wrong |= (~named & self._places(good)).any(axis=1)
        self._judge_deleted(good, slots, verdict)
        verdict.mismatched = int(wrong.sum())
        whole = (good["degraded"] == 0) & (good["dropped"] == 0)
        verdict.short = int((whole & (good["hits"] < K)).sum())
        self._sample(good[~wrong & (good["degraded"] == 0)], verdict)
        for answer in good[wrong][:_EXAMPLES]:
            verdict.examples.append(f"mismatched: {describe(answer)}")
        return verdict

    @staticmethod
    def _places(answers: Answers) -> NDArray[np.bool_]:
        """bool [answers, K]: where a hit is."""
        return np.arange(K)[None, :] < answers["hits"][:, None]

    def _slots(self, answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Each hit's product [answers, K], and whether there ever was such a product."""
        slots = np.minimum(np.searchsorted(self._known, answers["ids"]), len(self._known) - 1)
        return slots, self._known[slots] == answers["ids"]

    def _matches(self, answers: Answers, slots: NDArray[np.int64], table: Vectors) -> NDArray[np.bool_]:
        """bool [answers, K]: whether a text that existed by then explains the score; true where no hit is."""
        rows = self._rows[slots]
        ended = (answers["started"] + answers["seconds"])[:, None, None]
        existed = (rows >= 0) & (self._since[rows] <= ended)
        expected = table[answers["query"].astype(np.int64)[:, None, None], rows]
        near = np.abs(expected - answers["scores"][:, :, None]) <= TOLERANCE
        return np.asarray((existed & near).any(axis=2) | ~self._places(answers), dtype=np.bool_)

    def _judge_deleted(self, answers: Answers, slots: NDArray[np.int64], verdict: Verdict) -> None:
        late = self._gone[slots] + DELETE_SECONDS < answers["started"][:, None]
        risen = (late & self._places(answers)).any(axis=1)
        unasked = (answers["degraded"] & CATALOGUE_AWAY) > 0
        verdict.degraded = int((answers["degraded"] > 0).sum())
        verdict.doubted = int(((answers["degraded"] & LESS_THAN_WHOLE) > 0).sum())
        verdict.degraded_deleted = int((risen & unasked).sum())
        verdict.resurrected = int((risen & ~unasked).sum())
        for answer in answers[risen & ~unasked][:_EXAMPLES]:
            verdict.examples.append(f"resurrected: {describe(answer)}")

    def _sample(self, answers: Answers, verdict: Verdict) -> None:
        """Of the products whose text never changed, those nearer than the last hit must all be there."""
        recalls: list[float] = []
        products = self._known[self._stable]
        columns = self._rows[self._stable, 0]
        for answer in answers[::SAMPLE_EVERY]:
            count = int(answer["hits"])
            if count == 0:
                continue
            scores = self._tables[self._encoder_of[answer["release"].decode()]][answer["query"], columns]
            alive = self._gone_asked[self._stable] > answer["started"] + answer["seconds"]
            nearer = products[(scores > answer["scores"][count - 1] + TOLERANCE) & alive]
            if len(nearer):
                recalls.append(float(np.isin(nearer, answer["ids"][:count]).mean()))
        verdict.sampled = len(recalls)
        if recalls:
            verdict.recall = float(np.mean(recalls))
            verdict.worst_recall = min(recalls)


def describe(answer: np.void) -> str:
    """An answer in one line, for whoever has to find out."""
    count = int(answer["hits"])
    hits = ", ".join(
        f"{sku_name(int(number))} {score:.4f}"
        for number, score in zip(answer["ids"][:count], answer["scores"][:count], strict=True)
    )
    return f"at {answer['started']:.3f} query {answer['query']} {answer['release'].decode()}: {hits}"

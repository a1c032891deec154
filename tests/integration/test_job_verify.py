"""Bad candidates on a real Milvus, Elasticsearch and Chinese encoder: measured by the job, stopped by one gate each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
import pytest
from pymilvus import MilvusClient
from search_operator.decide.gates import Gate
from search_plane.encoder.artefact import MODEL_FILE, TOKENIZER_FILE
from search_plane.encoder.pooling import normalised
from search_plane.encoder.session import OnnxSession
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.jobs.rendering import Rendered, Renderer, content_hash
from search_plane.release.record import CatalogueTarget, ReleaseSnapshot
from search_plane.release.report import JobReport, Verification
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import generate, index_definition, judgements, load
from tests.integration.verify_bed import PRODUCTS, Bed, OverflowingEncoder, Row
from tests.testbed.plane import EncoderServer, JobProcess
from tests.testbed.weights.folder import WeightsFolder

pytestmark = [pytest.mark.stores, pytest.mark.weights, pytest.mark.timeout(600)]

SEED = 7
GHOSTS = 60
Candidates = Mapping[str, ReleaseSnapshot]


def measured(report: JobReport) -> Verification:
    assert report.verification is not None, report.message
    return report.verification


def stopping(gates: Mapping[str, Gate]) -> dict[str, str]:
    return {name: gate.message for name, gate in gates.items() if gate.result != "Passed"}


@pytest.fixture(scope="module")
def encoder(bge_artefact: WeightsFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncoderServer]:
    with EncoderServer(bge_artefact, tmp_path_factory.mktemp("bge")) as server:
        yield server


@pytest.fixture(scope="module")
def bed(milvus_uri: str, elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    name = f"v{uuid4().hex[:8]}"
    catalogue = CatalogueTarget(url=elasticsearch_url, index=f"verify-{name}")
    with connect_blocking(catalogue, timeout=60) as elasticsearch:
        elasticsearch.indices.create(index=catalogue.index, **index_definition("standard"))
        load(elasticsearch, catalogue.index, PRODUCTS, SEED, analyzer="standard")
        milvus = MilvusClient(uri=milvus_uri, timeout=30)
        bed = Bed(milvus_uri, name, catalogue, elasticsearch, milvus, tmp_path_factory.mktemp("verify"))
        yield bed
        for collection in bed.collections:
            milvus.drop_collection(collection, timeout=30)
        elasticsearch.indices.delete(index=catalogue.index)


@pytest.fixture(scope="module")
def good(bed: Bed, encoder: EncoderServer) -> ReleaseSnapshot:
    """A release filled by the job that fills every release."""
    release = bed.candidate(encoder)
    job = JobProcess(release, bed.home / "good", "refresh")
    assert job.wait() == 0, job.tail()
    assert job.report().rows == PRODUCTS
    return release


@pytest.fixture(scope="module")
def rows(bed: Bed, good: ReleaseSnapshot) -> list[Row]:
    """The rows that a release of the real encoder should hold."""
    return bed.rows(good)


@pytest.fixture(scope="module")
def candidates(bed: Bed, encoder: EncoderServer, bge_artefact: WeightsFolder, rows: list[Row]) -> Candidates:
    """A candidate by what is wrong with it. All are filled before one is examined: Milvus seals and indexes meanwhile."""
    wrong = _embedded_with_mean_pooling(bge_artefact)
    gone = [product.sku for product in generate(GHOSTS, SEED, PRODUCTS)]
    back = [row | {"id": sku} for row, sku in zip(rows, gone, strict=False)]
    old = [row | {"content_hash": content_hash(f"before {row['id']}")} for row in rows[:5]]
    contents = {
        "nothing": rows[::-1],
        "pooling": [row | {"dense": wrong[str(row["id"])]} for row in rows],
        "truncated": rows,
        "ghosts": [*rows, *back],
        "older texts": [*old, *rows[5:]],
        "encoder": rows,
        "few links": rows,
    }

    def filled(fault: str) -> ReleaseSnapshot:
        few = fault == "few links"
        release = bed.candidate(encoder, m=2, ef_construction=2) if few else bed.candidate(encoder)
        bed.write(release, contents[fault])
        return release

    with ThreadPoolExecutor() as pool:
        made = dict(zip(contents, pool.map(filled, contents), strict=True))
    bed.seal(list(made.values()))
    return made


@pytest.fixture(scope="module")
def judged() -> bytes:
    """The sample catalogue's judged queries over these products."""
    return b"\n".join(orjson.dumps(line) for line in judgements(generate(PRODUCTS, SEED)))


def test_a_good_candidate_passes_every_gate(
    bed: Bed, good: ReleaseSnapshot, candidates: Candidates, judged: bytes
) -> None:
    release = candidates["nothing"]
    report = bed.verify(release, active=good, judged=judged, TIMED_QUERIES=60)
    found = measured(report)
    gates = bed.gates(release, report, good, judged=True)
    assert stopping(gates) == {}, report
    assert len(gates) == 11
    assert (found.rows, found.missing, found.extra, found.stale) == (PRODUCTS, 0, 0, 0)
    assert (found.vectors_checked, found.judged) == (64, len(judged.splitlines()))
    # Each query is asked, the judged ones among them, and 60 times at least.
    assert found.timed_queries >= max(60, found.judged)
    assert found.vectors_match is not None
    assert found.vectors_match > 0.9999
    assert found.recall is not None
    assert found.recall > 0.95
    assert found.recall_k == 100
    assert found.ndcg is not None
    assert found.ndcg > 0.5
    assert found.ndcg == pytest.approx(found.active_ndcg, abs=0.01)
    assert (found.zero_results, found.active_zero_results) == (0.0, 0.0)
    assert found.why == {}


def test_wrong_pooling_is_stopped_by_its_vectors(
    bed: Bed, bge_artefact: WeightsFolder, candidates: Candidates
) -> None:
    assert bge_artefact.identity.pooling == "cls"
    release = candidates["pooling"]
    report = bed.verify(release)
    gates = bed.gates(release, report)
    assert list(stopping(gates)) == ["VectorsMatch"], stopping(gates)
    assert 0.3 < float(gates["VectorsMatch"].value) < 0.99


def test_a_truncated_build_is_stopped_by_its_rows(bed: Bed, candidates: Candidates, rows: list[Row]) -> None:
    release = candidates["truncated"]
    before = bed.verify(release)
    lost = [row["id"] for row in rows[:300]]
    bed.milvus.delete(release.milvus.collection, ids=lost, timeout=30)
    # Lost after the verification, only the count of now shows it.
    gates = bed.gates(release, before)
    assert list(stopping(gates)) == ["RowsLoaded"], stopping(gates)
    assert gates["RowsLoaded"].value == str(PRODUCTS - 300)

    # Lost before it, the comparison by ids names it too.
    after = bed.verify(release)
    gates = bed.gates(release, after)
    assert list(stopping(gates)) == ["IdSetsEqual", "RowsLoaded"], stopping(gates)
    assert "300 documents are missing, 0 rows have no document" in gates["IdSetsEqual"].message


def test_deletes_that_came_back_are_stopped_by_their_ids(bed: Bed, candidates: Candidates) -> None:
    release = candidates["ghosts"]
    report = bed.verify(release)
    gates = bed.gates(release, report)
    assert list(stopping(gates)) == ["IdSetsEqual"], stopping(gates)
    assert "60 rows have no document" in gates["IdSetsEqual"].message
    assert measured(report).rows == PRODUCTS + GHOSTS


def test_rows_of_an_older_text_are_told_from_others(bed: Bed, candidates: Candidates) -> None:
    release = candidates["older texts"]
    # As of a collection that is too large to read whole.
    report = bed.verify(release, RECALL_ROWS=400)
    found = measured(report)
    assert found.recall is not None
    assert 0.95 < found.recall <= 1.0
    assert (found.missing, found.extra, found.stale) == (0, 0, 5)
    # So few may have changed since the catch-up.
    assert stopping(bed.gates(release, report)) == {}


def test_an_encoder_that_gives_nan_is_stopped_as_unsound(
    bed: Bed, encoder: EncoderServer, candidates: Candidates
) -> None:
    release = candidates["encoder"]
    texts = sorted(len(text) for text in _texts(encoder.identity.text_template).values())
    with OverflowingEncoder(encoder, longest=texts[len(texts) * 4 // 5]) as broken:
        report = bed.verify(release.model_copy(update={"encoder_url": broken.url}))
    gates = bed.gates(release, report)
    assert list(stopping(gates)) == ["EncoderSound"], stopping(gates)
    assert "not finite" in gates["EncoderSound"].message
    assert 0 < measured(report).vectors_checked < 64


def test_a_graph_of_too_few_links_is_stopped_by_its_recall(bed: Bed, candidates: Candidates) -> None:
    release = candidates["few links"]
    report = bed.verify(release)
    gates = bed.gates(release, report)
    assert list(stopping(gates)) == ["RecallAtK"], stopping(gates)
    assert float(gates["RecallAtK"].value) < 0.9


def test_a_worse_model_is_stopped_by_the_judged_queries(
    bed: Bed,
    good: ReleaseSnapshot,
    tiny_encoder: WeightsFolder,
    judged: bytes,
    tmp_path: Path,
) -> None:
    with EncoderServer(tiny_encoder, tmp_path) as meaningless:
        release = bed.candidate(meaningless)
        build = JobProcess(release, tmp_path / "build", "refresh")
        assert build.wait() == 0, build.tail()
        report = bed.verify(release, active=good, judged=judged)
    gates = bed.gates(release, report, good, judged=True)
    assert list(stopping(gates)) == ["JudgedQueries"], stopping(gates)
    found = measured(report)
    assert found.ndcg is not None
    assert found.active_ndcg is not None
    assert found.ndcg < found.active_ndcg - 0.1
    assert found.overlap is None


def test_an_active_release_that_is_away_leaves_only_the_comparisons_out(
    bed: Bed, good: ReleaseSnapshot, judged: bytes
) -> None:
    gone = good.model_copy(update={"milvus": good.milvus.model_copy(update={"collection": "nowhere"})})
    report = bed.verify(good, active=gone, judged=judged)
    found = measured(report)
    assert set(found.why) == {"overlap", "active_zero_results", "active_ndcg"}
    assert found.why["overlap"] == "collection nowhere does not exist"
    assert found.ndcg is not None
    gates = bed.gates(good, report, gone, judged=True)
    assert set(stopping(gates)) == {"OverlapAt10", "JudgedQueries"}
    assert gates["OverlapAt10"].message == "can't be evaluated: collection nowhere does not exist"


def test_stores_that_are_away_end_the_job(bed: Bed, good: ReleaseSnapshot) -> None:
    away = good.model_copy(update={"milvus": good.milvus.model_copy(update={"uri": "http://127.0.0.1:9"})})
    report = bed.verify(away, PATIENCE_SECONDS=2)
    assert (report.result, report.reason, report.verification) == ("Failed", "VectorStoreUnavailable", None)


def _texts(template: str) -> dict[str, str]:
    renderer = Renderer(template, "sku")
    rendered = [renderer.render(product.sku, product.document()) for product in generate(PRODUCTS, SEED)]
    return {row.id: row.text for row in rendered if isinstance(row, Rendered)}


def _embedded_with_mean_pooling(weights: WeightsFolder) -> dict[str, np.ndarray[Any, Any]]:
    """Vectors by id as somebody makes them who takes the mean of the tokens where the model wants the first."""
    identity = weights.identity
    session = OnnxSession(weights.path / MODEL_FILE, "mean", identity.dimension, 2)
    tokeniser = TextTokeniser(weights.path / TOKENIZER_FILE, identity.max_tokens)
    texts = sorted(_texts(identity.text_template).items(), key=lambda item: len(item[1]))
    vectors: dict[str, np.ndarray[Any, Any]] = {}
    for start in range(0, len(texts), 32):
        batch = texts[start : start + 32]
        tokens = [tokeniser.cut(ids) for ids in tokeniser.encode([text for _, text in batch])]
        vectors |= zip((row for row, _ in batch), normalised(session.run(tokens)), strict=True)
    return vectors

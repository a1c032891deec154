"""The bed of the verification's tests: a catalogue, candidates of one index, and the operator's gates over them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import orjson
import yaml
from elasticsearch import Elasticsearch
from pymilvus import MilvusClient
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.gates import Gate, evaluate
from search_operator.milvus_api import MilvusPool
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.milvus import look_at_milvus
from search_operator.observe.observation import CollectionView, JobView
from search_plane.release.embedding_wire import FINGERPRINT_HEADER
from search_plane.release.record import (
    ROWS_WITH_FIELDS,
    CatalogueTarget,
    HnswIndex,
    MilvusTarget,
    ReleaseRecord,
    ReleaseSnapshot,
    collection_name,
)
from search_plane.release.report import JobReport
from search_plane.release.stored import STORED_FIELDS

from tests.testbed.plane import REPOSITORY, EncoderServer, JobProcess, create_release_collection, wait_until

# Milvus builds a graph from 1,024 rows on.
PRODUCTS = 1200
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SAMPLES = REPOSITORY / "manifests" / "samples"
# Enough for these tests; a real verification takes more.
SIZES = {"SAMPLE_QUERIES": 40, "TIMED_QUERIES": 20}

Row = dict[str, Any]


@dataclass
class Bed:
    """A catalogue, its encoder, and candidates of one index."""

    milvus_uri: str
    name: str
    catalogue: CatalogueTarget
    elasticsearch: Elasticsearch
    milvus: MilvusClient
    home: Path
    collections: list[str] = field(default_factory=list)

    def candidate(self, encoder: EncoderServer, *, m: int = 16, ef_construction: int = 64) -> ReleaseSnapshot:
        """An empty release: collection made, indexed and loaded as the operator does it."""
        release = f"r-{uuid4().hex[:8]}"
        identity = encoder.identity
        record = ReleaseRecord(
            namespace="test",
            index=self.name,
            release=release,
            encoder=identity,
            hnsw=HnswIndex(m=m, ef_construction=ef_construction),
            shards=1,
            row_schema=ROWS_WITH_FIELDS,
        )
        name = collection_name("test", self.name, release)
        create_release_collection(self.milvus, record, name)
        self.collections.append(name)
        return ReleaseSnapshot(
            namespace="test",
            index=self.name,
            release=release,
            fingerprint=identity.fingerprint(),
            encoder=identity,
            encoder_url=encoder.url,
            milvus=MilvusTarget(uri=self.milvus_uri, collection=name),
            catalogue=self.catalogue,
        )

    def seal(self, releases: Sequence[ReleaseSnapshot]) -> None:
        """Flushes all of them at once; Milvus builds their indexes from then on."""
        collections = [release.milvus.collection for release in releases]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.milvus.flush(name, timeout=120), collections))

    def write(self, release: ReleaseSnapshot, rows: Sequence[Row]) -> None:
        """Writes rows as they are, right or wrong."""
        for start in range(0, len(rows), 500):
            self.milvus.upsert(release.milvus.collection, list(rows[start : start + 500]), timeout=30)

    def rows(self, release: ReleaseSnapshot) -> list[Row]:
        """Every row, ordered by id."""
        found = self.milvus.query(
            release.milvus.collection,
            filter='id != ""',
            output_fields=["id", "content_hash", "dense", *STORED_FIELDS],
            limit=16000,
            consistency_level="Strong",
            timeout=60,
        )
        return sorted((dict(row) for row in found), key=lambda row: str(row["id"]))

    def verify(
        self,
        release: ReleaseSnapshot,
        active: ReleaseSnapshot | None = None,
        judged: bytes = b"",
        **settings: object,
    ) -> JobReport:
        """Runs the job to its end; its report."""
        home = self.home / uuid4().hex[:8]
        home.mkdir()
        (home / "active.json").write_text(active.to_json() if active else "{}", encoding="utf-8")
        if judged:
            (home / "judged.jsonl").write_bytes(judged)
        files = {"ACTIVE_FILE": home / "active.json", "JUDGED_FILE": home / "judged.jsonl"}
        job = JobProcess(release, home, "verify", {**files, **SIZES, **settings})
        code = job.wait()
        report = job.report()
        assert (code == 0) == (report.result == "Succeeded"), job.tail()
        return report

    def index(self, *, judged: bool) -> SemanticSearchIndex:
        """The resource that these releases are of, with a limit of latency that a busy machine keeps."""
        body = yaml.safe_load((SAMPLES / "products.yaml").read_text(encoding="utf-8"))
        body["metadata"] |= {"name": self.name, "namespace": "test", "uid": "1", "generation": 1}
        body["spec"]["vectorStore"]["milvus"]["endpoint"] = self.milvus_uri
        gates: dict[str, Any] = {"maxP95": "5s"}
        if judged:
            gates["judgedQueries"] = {"configMapRef": {"name": "judged"}}
        body["spec"]["rollout"] = {"gates": gates}
        return SemanticSearchIndex.parse(body)

    def view(self, release: ReleaseSnapshot) -> CollectionView:
        """The collection as the operator sees it, once its index is built."""
        index, pool = self.index(judged=False), MilvusPool()
        seen: list[CollectionView] = []

        def built() -> bool:
            view = asyncio.run(look_at_milvus(pool, index, StoreCredentials()))
            found = view.collection(release.milvus.collection)
            seen[:] = [found] if found else []
            return found is not None and found.index_finished

        wait_until("the index to be built", built, seconds=90)
        pool.close()
        return seen[0]

    def gates(
        self,
        release: ReleaseSnapshot,
        report: JobReport,
        active: ReleaseSnapshot | None = None,
        *,
        judged: bool = False,
        rows: int = PRODUCTS,
    ) -> dict[str, Gate]:
        """The operator's gates over the report and over Milvus as it is now; the catch-up left `rows` rows."""
        found = evaluate(
            self.view(release),
            _ended("catchup", _catchup(release, rows)),
            _ended("verify", report),
            has_active=active is not None,
            same_fingerprint=active is not None and active.fingerprint == release.fingerprint,
            spec=self.index(judged=judged).spec,
        )
        return {gate.name: gate for gate in found}


def _catchup(release: ReleaseSnapshot, rows: int) -> JobReport:
    return JobReport(
        result="Succeeded",
        reason="Completed",
        message="",
        release=release.release,
        rows=rows,
        id_sets_equal=True,
        finished_at=NOW,
    )


def _ended(component: Any, report: JobReport) -> JobView:
    return JobView(
        name=f"{component}-1",
        release=report.release,
        component=component,
        uid="1",
        started_at="2026-11-22T00:00:00Z",
        finished_at="2026-11-22T00:01:00Z",
        succeeded=True,
        failed=False,
        progress=None,
        report=report,
    )


class OverflowingEncoder:
    """A fake: the real encoder, but a text of more than `longest` characters comes out as NaN.

    So does an fp16 export that overflows on long texts; a GPU to make one with is not to be had here.
    """

    def __init__(self, real: EncoderServer, longest: int) -> None:
        def spoilt(request: bytes, answer: bytes) -> bytes:
            texts = orjson.loads(request)["inputs"]
            vectors = orjson.loads(answer)
            return orjson.dumps(
                [
                    [float("nan")] * len(vector) if len(text) > longest else vector
                    for text, vector in zip(texts, vectors, strict=True)
                ]
            )

        client = httpx.Client(base_url=real.url, timeout=60)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {FINGERPRINT_HEADER: self.headers[FINGERPRINT_HEADER]}
                answer = client.post(self.path, content=body, headers=headers)
                content = spoilt(body, answer.content) if answer.status_code == 200 else answer.content
                self.send_response(answer.status_code)
                self.send_header(FINGERPRINT_HEADER, answer.headers.get(FINGERPRINT_HEADER, ""))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._client = client
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> OverflowingEncoder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        self._client.close()

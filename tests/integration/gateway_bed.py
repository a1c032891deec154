"""What the gateway's tests stand on: its process, whole releases with their own encoders, and brute force."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray
from pymilvus import MilvusClient
from search_plane.jobs.collection import NewRow
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.release.gateway_state import GatewayState
from search_plane.release.identity import EncoderIdentity
from search_plane.release.policy import BreakerPolicy, SearchPolicy
from search_plane.release.record import ROWS_WITH_FIELDS, CatalogueTarget, MilvusTarget, ReleaseSnapshot

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.plane import (
    EncoderServer,
    create_release_collection,
    free_port,
    plane_environment,
    sample_record,
    wait_until,
)

QUERIES = (
    "便宜的蓝牙耳机", "适合送老人的保健品", "小米手机充电器", "大米 5kg", "无线耳机", "高性价比手机", "儿童玩具",
    "男士运动鞋", "牛奶", "洗衣液", "USB-C 数据线", "电饭煲", "给妈妈的礼物", "护肤品", "咖啡机",
    "篮球", "小米", "羽绒服", "茶叶礼盒", "键盘",
)  # fmt: skip
# float32 sums differ in their last bits between Milvus and numpy.
SCORE_TOLERANCE = 2e-5
# Breakers that never open: within a hundredth of a second nothing fails five times. What waits, deadlines and the other
# way come to is asked without them, and on a busy machine; what they do themselves has tests of its own.
CALM = SearchPolicy(breaker=BreakerPolicy(latency_ms=10_000, window_seconds=0.01))
# Each query asks its parts, unless a test is of the caches.
UNCACHED = {"vector_cache_entries": 0, "result_cache_entries": 0}
# Breakers that nothing opens, as no window holds five calls: a busy machine is slow, and most tests are of what is
# answered when a part is really asked.
CALM = SearchPolicy(breaker=BreakerPolicy(latency_ms=0, window_seconds=0.001))
# Importing the gateway takes seconds of a processor, which a busy machine spreads over many more.
START_SECONDS = 120.0


@dataclass(frozen=True)
class Release:
    """A filled release: its snapshot, and what is in its collection. `vectors` is float32 [rows, dimension]."""

    snapshot: ReleaseSnapshot
    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    queries: Mapping[str, NDArray[np.float32]]

    def nearest(self, query: str, k: int) -> list[tuple[str, float]]:
        """The k nearest rows by cosine, by brute force over the encoder's own vectors."""
        scores = self.vectors @ self.queries[query]
        return [(self.ids[row], float(scores[row])) for row in np.argsort(-scores, kind="stable")[:k]]

    def score(self, query: str, identifier: str) -> float:
        """The cosine of one row."""
        return float(self.vectors[self.ids.index(identifier)] @ self.queries[query])


def embed(encoder_url: str, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
    """Vectors of the texts straight from an encoder, float32 [texts, dimension]."""
    parts = []
    with httpx.Client(timeout=60) as client:
        for start in range(0, len(texts), 32):
            body = {"inputs": list(texts[start : start + 32]), "prompt_name": prompt}
            answer = client.post(f"{encoder_url}/embed", json=body)
            answer.raise_for_status()
            parts.append(np.asarray(answer.json(), dtype=np.float32))
    return np.concatenate(parts)


def fill_release(
    encoder: EncoderServer,
    elasticsearch: Elasticsearch,
    index: str,
    elasticsearch_url: str,
    milvus_uri: str,
    row_schema: int = ROWS_WITH_FIELDS,
) -> Release:
    """Makes, fills, seals and loads a collection with the catalogue's products as this encoder sees them."""
    identity: EncoderIdentity = encoder.identity
    name = f"r-{uuid4().hex[:8]}"
    collection = f"test__products_{name.replace('-', '_')}"
    snapshot = ReleaseSnapshot(
        namespace="test",
        index="products",
        release=name,
        fingerprint=identity.fingerprint(),
        encoder=identity,
        encoder_url=encoder.url,
        milvus=MilvusTarget(uri=milvus_uri, collection=collection),
        catalogue=CatalogueTarget(url=elasticsearch_url, index=index),
    )
    fields = snapshot.catalogue.fields
    renderer = Renderer(identity.text_template, fields.id, fields if row_schema == ROWS_WITH_FIELDS else None)
    found = elasticsearch.search(index=index, size=10_000)["hits"]["hits"]
    rendered = [renderer.render(hit["_id"], hit["_source"]) for hit in found]
    rows = [row for row in rendered if isinstance(row, Rendered)]
    vectors = embed(encoder.url, [row.text for row in rows], "document")
    client: Any = MilvusClient(milvus_uri)
    try:
        create_release_collection(client, sample_record(identity, name, row_schema=row_schema), collection)
        data = [NewRow(row, vector).columns for row, vector in zip(rows, vectors, strict=True)]
        client.insert(collection, data, timeout=60)
        client.flush(collection, timeout=60)
        # A strong read: from now on a bounded one sees these rows soon.
        client.query(
            collection, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=60
        )
    finally:
        client.close()
    queries = dict(zip(QUERIES, embed(encoder.url, QUERIES, "query"), strict=True))
    return Release(snapshot, tuple(row.id for row in rows), vectors, queries)


def drop_release(release: Release) -> None:
    """Drops the collection."""
    client: Any = MilvusClient(release.snapshot.milvus.uri)
    try:
        client.drop_collection(release.snapshot.milvus.collection, timeout=60)
    finally:
        client.close()


class GatewayProcess:
    """`python -m search_plane gateway` on a loopback port, with a release file mounted as Kubernetes does."""

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._mount = home / "release"
        self._mount.mkdir(parents=True)
        self._versions = 0
        self._mounted = ("{}", "{}")
        self._policy = CALM.to_json()
        self._log = home / "gateway.log"
        self._environment = plane_environment(
            RELEASE_FILE=self._mount / "release.json",
            HOST="127.0.0.1",
            PORT=self.port,
            POLL_SECONDS=0.05,
            **{"drain_seconds": 0.2, **UNCACHED, **settings},
        )
        self._environment = {name.upper(): value for name, value in self._environment.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def mount_policy(self, policy: str) -> None:
        """Replaces policy.json alone; later mounts keep it."""
        self._policy = policy
        self.mount(*self._mounted)

    def mount(self, content: str, announced: str = "{}") -> None:
        """Replaces release.json and next.json in one step, as the kubelet does: the symlink ..data moves."""
        self._mounted = (content, announced)
        self._versions += 1
        data = self._mount / f"..{self._versions}"
        data.mkdir()
        for name, text in (
            ("release.json", content),
            ("next.json", announced),
            ("policy.json", self._policy),
        ):
            (data / name).write_text(text, encoding="utf-8")
            if not (self._mount / name).is_symlink():
                (self._mount / name).symlink_to(f"..data/{name}")
        link = self._mount / "..data_tmp"
        link.symlink_to(data.name)
        os.replace(link, self._mount / "..data")

    def announce(self, active: ReleaseSnapshot, coming: ReleaseSnapshot, seconds: float = 60) -> None:
        """Mounts both, and waits until the gateway says that the coming one is prepared."""
        self.mount(active.to_json(), coming.to_json())

        def prepared() -> bool:
            state = self.state()
            return state.prepared and state.next_revision == coming.revision()

        wait_until(f"the gateway to have {coming.release} prepared", prepared, seconds)

    def state(self) -> GatewayState:
        """What /release says."""
        answer = httpx.get(f"{self.url}/release", timeout=5).raise_for_status()
        return GatewayState.model_validate_json(answer.content)

    def start(self) -> GatewayProcess:
        """Starts it and waits until it answers /healthz."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                # It ends with the tests, whatever ends them.
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "search_plane", "gateway"],
                env={**os.environ, **self._environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait("the gateway to listen", "/healthz", 200)
        return self

    def serve(self, snapshot: ReleaseSnapshot, seconds: float = 60) -> None:
        """Mounts a snapshot and waits until the gateway is ready with it."""
        self.mount(snapshot.to_json())

        def ready() -> bool:
            self._alive()
            state = self.ready()
            return bool(state["ready"]) and state["release"] == snapshot.release

        wait_until(f"the gateway to be ready with {snapshot.release}; it says {self.ready()}", ready, seconds)

    def ready(self) -> dict[str, Any]:
        """What /readyz says."""
        body: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=5).json()
        return body

    def search(self, q: str, k: int = 10, mode: str | None = "semantic", **others: Any) -> httpx.Response:
        """One query; by meaning as it is written, which brute force can judge, unless another mode is given.

        None: as the policy has it.
        """
        modes: dict[str, str] = {} if mode is None else {"mode": mode}
        if mode == "semantic":
            others = {"understand": "false", **others}
        return httpx.get(f"{self.url}/search", params={"q": q, "k": k, **modes, **others}, timeout=10)

    def metrics(self) -> str:
        """The text of /metrics."""
        return httpx.get(f"{self.url}/metrics", timeout=5).text

    def terminate(self) -> None:
        """SIGTERM, as the kubelet sends it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 20) -> int:
        """Its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def cpu_seconds(self) -> float:
        """Processor time used so far, user and system."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self) -> int:
        """Sockets that it holds open."""
        assert self._process is not None
        count = 0
        for descriptor in Path(f"/proc/{self._process.pid}/fd").iterdir():
            # One may be closed between being listed and being looked at.
            with suppress(FileNotFoundError):
                count += os.readlink(descriptor).startswith("socket:")
        return count

    def resident_mib(self) -> int:
        """Resident memory in MiB."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10

    def log(self) -> str:
        """All it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _wait(self, what: str, path: str, status: int) -> None:
        def there() -> bool:
            self._alive()
            try:
                return httpx.get(f"{self.url}{path}", timeout=2).status_code == status
            except httpx.TransportError:
                return False

        wait_until(what, there, START_SECONDS)

    def _alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise TestbedError(
                f"the gateway ended with {self._process.returncode}; its log:\n{self.log()[-4000:]}"
            )

    def __enter__(self) -> GatewayProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

"""The data plane as processes of the tests: an encoder server and jobs; and the collection they fill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import (
    ROWS_WITH_FIELDS,
    VECTOR_FIELD,
    HnswIndex,
    ReleaseRecord,
    ReleaseSnapshot,
)
from search_plane.release.report import JobProgress, JobReport
from search_plane.stores.schema import collection_schema

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.stores.server_process import ServerProcess
from tests.testbed.weights.folder import WeightsFolder

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 120.0
JOB_SECONDS = 240.0


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plane_environment(**settings: object) -> dict[str, str]:
    """The environment of a `python -m search_plane` process."""
    return {
        "PYTHONPATH": str(REPOSITORY / "encoder_image"),
        **{name: str(value) for name, value in settings.items()},
    }


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Polls until the condition holds. Raises TestbedError naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TestbedError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


class EncoderServer:
    """`python -m search_plane encoder` on a loopback port that stays the same over `kill` and `start`."""

    def __init__(self, weights: WeightsFolder, home: Path, **settings: object) -> None:
        self.identity: EncoderIdentity = weights.identity
        self.port = free_port()
        self._home = home
        self._environment = plane_environment(
            ENCODER_IDENTITY=weights.identity.model_dump_json(),
            MODEL_DIR=weights.path,
            HOST="127.0.0.1",
            PORT=self.port,
            # Its own probes are texts too; only those at its start shall be counted.
            PROBE_SECONDS=3600,
            **settings,
        )
        self.process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> EncoderServer:
        """Starts the server and waits until it is ready."""
        self.process = ServerProcess(
            "the encoder",
            [sys.executable, "-m", "search_plane", "encoder"],
            home=self._home,
            environment=self._environment,
        )
        self.process.await_ready(self._ready, timeout=START_SECONDS)
        return self

    def kill(self) -> None:
        """Ends the server without warning."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def metrics(self) -> str:
        """The text of /metrics."""
        return httpx.get(f"{self.url}/metrics", timeout=5).raise_for_status().text

    def texts_embedded(self) -> int:
        """Texts computed since the start, by the server's own count."""
        for family in text_string_to_metric_families(self.metrics()):
            for sample in family.samples:
                if sample.name == "encoder_batch_size_sum":
                    return int(sample.value)
        raise TestbedError("the encoder's /metrics lack encoder_batch_size_sum")

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> EncoderServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class JobProcess:
    """`python -m search_plane job build|catchup|refresh|verify` with a release file and a report file of its own.

    `settings` go to its environment, e.g. SLICES=3, JOB_COMPLETION_INDEX=0. The default is what fills a collection
    wholly by itself: a build alone leaves the comparison of the ID sets to the catch-up.
    """

    def __init__(
        self,
        release: ReleaseSnapshot,
        home: Path,
        kind: str = "catchup",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._release_file = home / f"release-{self.port}.json"
        self._release_file.write_text(release.to_json(), encoding="utf-8")
        self.report_file = home / f"report-{self.port}.json"
        self.log = home / f"job-{self.port}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                # It ends with the tests, whatever ends them.
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "search_plane", "job", kind],
                env=os.environ
                | plane_environment(
                    RELEASE_FILE=self._release_file,
                    REPORT_FILE=self.report_file,
                    HOST="127.0.0.1",
                    PORT=self.port,
                    **{"PATIENCE_SECONDS": 60, **(settings or {})},
                ),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def url(self) -> str:
        """Base URL of the job's own server."""
        return f"http://127.0.0.1:{self.port}"

    def progress(self) -> JobProgress | None:
        """What /progress says; None while nobody answers."""
        try:
            return JobProgress.model_validate_json(httpx.get(f"{self.url}/progress", timeout=2).content)
        except httpx.TransportError:
            return None

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> None:
        """SIGTERM, as Kubernetes sends it."""
        self._process.terminate()

    def wait(self, seconds: float = JOB_SECONDS) -> int:
        """The exit code. Raises TestbedError with the end of the log when it takes too long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TestbedError(
                f"waited {seconds:.0f} s for the job to end; its log:\n{self.tail()}"
            ) from None

    def report(self) -> JobReport:
        """What it wrote as its termination message."""
        report = JobReport.from_termination_message(self.report_file.read_text(encoding="utf-8"))
        assert report is not None, self.report_file.read_text(encoding="utf-8")
        return report

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])


def create_release_collection(
    client: Any, record: ReleaseRecord, collection: str, *, replicas: int = 1, seconds: float = 60.0
) -> None:
    """A release's collection as the operator makes it: created, indexed, loaded once. `seconds` per call."""
    client.create_collection(
        collection, schema=collection_schema(record), num_shards=record.shards, timeout=seconds
    )
    index = client.prepare_index_params()
    index.add_index(
        VECTOR_FIELD,
        index_type="HNSW",
        metric_type=record.hnsw.metric,
        params={"M": record.hnsw.m, "efConstruction": record.hnsw.ef_construction},
    )
    client.create_index(collection, index, timeout=seconds)
    client.load_collection(collection, replica_number=replicas, timeout=seconds)


def sample_record(
    identity: EncoderIdentity, release: str, *, shards: int = 2, row_schema: int = ROWS_WITH_FIELDS
) -> ReleaseRecord:
    """A record of a release in namespace `test`; a small graph, for recall is not what these tests ask."""
    return ReleaseRecord(
        namespace="test",
        index="products",
        release=release,
        encoder=identity,
        hnsw=HnswIndex(m=16, ef_construction=64),
        shards=shards,
        row_schema=row_schema,
    )

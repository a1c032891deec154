"""A real Milvus of five processes, two of them query nodes, in a network namespace of its own.

etcd, one Kafka broker, `rest` (the coordinators, proxy, data and index node in one process) and the query nodes
`first` and `second`. They share a folder as their object storage.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.prerequisites import program
from tests.testbed.cluster.toolchain import Progress, binary
from tests.testbed.stores.local_milvus import PORT, answers, end_milvus, is_healthy
from tests.testbed.stores.programs import MILVUS_CLUSTER_RECIPE, java, kafka_jars, milvus_program, silent
from tests.testbed.stores.server_process import ServerProcess
from tests.testbed.stores.veth import IN_NEW_NAMESPACE, VethLink

Node = Literal["first", "second"]
NODES: tuple[Node, Node] = ("first", "second")
START_SECONDS = 120.0
_ETCD_PORT = 2379
_KAFKA_PORT = 29092
_REST_HEALTH = 9091
# A query node's own port, and that of its health page.
_PORTS: Mapping[Node, tuple[int, int]] = {"first": (21123, 9096), "second": (21223, 9097)}
_ROLES = ("rootcoord", "querycoord", "datacoord", "indexcoord", "proxy", "datanode", "indexnode")
# Any 22 characters of base64: the broker is alone.
_KAFKA_CLUSTER = "testbedAAAAAAAAAAAAAAA"


class TwoNodeMilvus:
    """Milvus 2.3.5 with two query nodes, reachable from this machine; its data end with it. Needs root.

    About 1.2 GiB of memory with two small collections.

    >>> with TwoNodeMilvus() as milvus:
    ...     MilvusClient(milvus.uri).load_collection("products", replica_number=2)
    ...     milvus.kill("first")
    ...     milvus.start("first")
    """

    __test__ = False

    def __init__(self, progress: Progress = silent) -> None:
        self._progress = progress
        self._home: Path | None = None
        self._link = VethLink()
        self._processes: dict[str, ServerProcess] = {}
        self.start_seconds = 0.0
        """How long it took until the whole answered, in seconds."""

    @property
    def uri(self) -> str:
        """``http://10.213.250.x:19530``."""
        return f"http://{self._link.inside}:{PORT}"

    @property
    def resident_mib(self) -> dict[str, int]:
        """Resident memory of each process in MiB."""
        return {name: process.resident_mib for name, process in self._processes.items()}

    def kill(self, node: Node) -> None:
        """kill -9 of a query node."""
        self._end(node)

    def start(self, node: Node) -> None:
        """Starts a query node again; returns when it is healthy, seconds before its replica answers searches."""
        self._run_query_node(node)
        self._await_health(node, _PORTS[node][1])

    def stop(self) -> None:
        """Ends all processes and deletes their data. Nothing when stopped already."""
        # The rest before etcd, and etcd, whose namespace it is, last.
        for name in reversed([*self._processes]):
            self._end(name)
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def __enter__(self) -> TwoNodeMilvus:
        if os.geteuid() != 0:
            raise TestbedError("a local Milvus needs root")
        for prepare in (milvus_program, kafka_jars):
            prepare(self._progress)
        binary("etcd", progress=self._progress)
        started = time.monotonic()
        self._home = Path(tempfile.mkdtemp(prefix="test-milvus-cluster-"))
        try:
            self._bring_up()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bring_up(self) -> None:
        self._run_etcd()
        self._run_kafka()
        self._await_port("etcd", _ETCD_PORT)
        # The roles call themselves healthy without their queue.
        self._await_port("kafka", _KAFKA_PORT)
        self._run_milvus(
            "rest", ["mixture", *(f"-{role}=true" for role in _ROLES)], METRICS_PORT=_REST_HEALTH
        )
        for node in NODES:
            self._run_query_node(node)
        for node in NODES:
            self._await_health(node, _PORTS[node][1])
        self._await_health("rest", _REST_HEALTH)
        self._processes["rest"].await_ready(lambda: answers(self.uri), timeout=START_SECONDS)

    def _run_etcd(self) -> None:
        client, peer = f"http://0.0.0.0:{_ETCD_PORT}", f"http://127.0.0.1:{_ETCD_PORT + 1}"
        command = [
            binary("etcd", progress=self._progress),
            f"--data-dir={self._folder('etcd') / 'data'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls=http://127.0.0.1:{_ETCD_PORT}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
            "--unsafe-no-fsync",
        ]
        home = self._folder("etcd")
        process = ServerProcess("Milvus's etcd", [*IN_NEW_NAMESPACE, *command], home=home)
        self._processes["etcd"] = process
        self._link.connect(process)

    def _run_kafka(self) -> None:
        home = self._folder("kafka")
        settings = home / "kafka.properties"
        given = (MILVUS_CLUSTER_RECIPE / settings.name).read_text(encoding="utf-8")
        settings.write_text(f"{given}log.dirs={home / 'data'}\n", encoding="utf-8")
        logging = f"-Dlog4j.configuration=file:{MILVUS_CLUSTER_RECIPE / 'kafka-log4j.properties'}"
        options = [f"@{MILVUS_CLUSTER_RECIPE / 'jvm.options'}", logging, "-cp", f"{kafka_jars()}/*"]
        run(
            [java(), *options, "kafka.tools.StorageTool", "format", "-t", _KAFKA_CLUSTER, "-c", settings],
            what="formatting Kafka's folder",
        )
        self._processes["kafka"] = ServerProcess(
            "Milvus's Kafka", [*self._within(), java(), *options, "kafka.Kafka", settings], home=home
        )

    def _run_query_node(self, node: Node) -> None:
        port, health = _PORTS[node]
        self._run_milvus(node, ["querynode"], METRICS_PORT=health, QUERYNODE_PORT=port)

    def _run_milvus(self, name: str, role: list[str], **settings: int) -> None:
        assert name not in self._processes, f"{name} runs already"
        binaries = milvus_program()
        self._processes[name] = ServerProcess(
            f"Milvus's {name}",
            [*self._within(), binaries / "milvus", "run", *role, "-alias", self._alias(name)],
            home=self._folder(name),
            environment={
                "MILVUSCONF": str(MILVUS_CLUSTER_RECIPE),
                "LD_LIBRARY_PATH": str(binaries),
                "LOCALSTORAGE_PATH": str(self._folder("storage")),
                **{setting: str(value) for setting, value in settings.items()},
            },
        )

    def _within(self) -> list[object]:
        return [program("nsenter") or "nsenter", "-t", self._processes["etcd"].pid, "-n", "--"]

    def _folder(self, name: str) -> Path:
        assert self._home is not None, "not started"
        folder = self._home / name
        folder.mkdir(exist_ok=True)
        return folder

    def _alias(self, name: str) -> str:
        assert self._home is not None, "not started"
        return f"{self._home.name}-{name}"

    def _end(self, name: str) -> None:
        end_milvus(self._processes.pop(name), self._alias(name))

    def _await_port(self, name: str, port: int) -> None:
        self._processes[name].await_ready(lambda: is_open(self._link.inside, port), timeout=START_SECONDS)

    def _await_health(self, name: str, port: int) -> None:
        url = f"http://{self._link.inside}:{port}/healthz"
        self._processes[name].await_ready(lambda: is_healthy(url), timeout=START_SECONDS)


def is_open(host: str, port: int) -> bool:
    """Whether a TCP connection is accepted within a second."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False

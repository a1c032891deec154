"""A real Milvus as a process in a network namespace of its own.

Milvus listens on all interfaces whatever its settings say, and its ports are fixed: the namespace keeps it
off the machine's network and lets several run side by side. A veth pair leads to it from this machine only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import grpc
import httpx
from pymilvus import MilvusClient, MilvusException

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.toolchain import Progress
from tests.testbed.stores.programs import MILVUS_RECIPE, milvus_program, silent
from tests.testbed.stores.server_process import ServerProcess
from tests.testbed.stores.veth import IN_NEW_NAMESPACE, VethLink

START_SECONDS = 90.0
PORT = 19530
HEALTH_PORT = 9091
# What Milvus leaves of itself goes here, or to /tmp/milvus when it cannot be written; it never removes it.
_RUN_FOLDERS = (Path("/run/milvus"), Path("/tmp/milvus"))


class LocalMilvus:
    """Milvus 2.3.5 standalone, reachable from this machine; data in a temporary folder that ``stop`` deletes.

    Needs root (a network namespace and a veth pair).

    >>> with LocalMilvus() as server:
    ...     MilvusClient(server.uri)
    """

    def __init__(self, progress: Progress = silent) -> None:
        self._progress = progress
        self._home: Path | None = None
        self._link = VethLink()
        self.process: ServerProcess | None = None

    @property
    def uri(self) -> str:
        """``http://10.213.250.x:19530``; it stays over ``kill`` and ``start``."""
        return f"http://{self._link.inside}:{PORT}"

    def start(self) -> str:
        """Start (after ``kill``: on the same data and address), wait for an answer, return the URI.

        Raises TestbedError without root, or with the server's last words after 90 s.
        """
        assert self.process is None, "already started"
        if os.geteuid() != 0:
            raise TestbedError("a local Milvus needs root; or set TEST_MILVUS_URI to one that runs")
        binaries = milvus_program(self._progress)
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="test-milvus-"))
        self.process = ServerProcess(
            "Milvus",
            [*IN_NEW_NAMESPACE, binaries / "milvus", "run", "standalone", "-alias", self._home.name],
            home=self._home,
            environment={
                "MILVUSCONF": str(MILVUS_RECIPE),
                "LD_LIBRARY_PATH": str(binaries),
                "DEPLOY_MODE": "STANDALONE",
                "METRICS_PORT": str(HEALTH_PORT),
                "ETCD_DATA_DIR": str(self._home / "etcd"),
                "LOCALSTORAGE_PATH": str(self._home / "storage"),
                "ROCKSMQ_PATH": str(self._home / "rocksmq"),
            },
        )
        try:
            self._link.connect(self.process)
            health = f"http://{self._link.inside}:{HEALTH_PORT}/healthz"
            self.process.await_ready(lambda: is_healthy(health) and answers(self.uri), timeout=START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self.uri

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Cut the cable: inside, packets to it vanish (connections hang) while it keeps running."""
        with self._link.cut():
            yield

    def kill(self) -> None:
        """End it without warning, keeping its data; ``start`` brings it back on the same address."""
        assert self.process is not None, "not started"
        assert self._home is not None
        # SIGTERM leaves a standalone server of this version hanging in its own shutdown.
        end_milvus(self.process, self._home.name)
        self.process = None

    def stop(self) -> None:
        """End it and delete its data; its namespace and cable go with it. Nothing when stopped already."""
        if self.process is not None:
            self.kill()
        self._link = VethLink()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def __enter__(self) -> LocalMilvus:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def end_milvus(process: ServerProcess, alias: str) -> None:
    """kill -9 of a Milvus process, and an end to the lock files it would leave on the machine."""
    process.kill()
    for folder in _RUN_FOLDERS:
        for left in (*folder.glob(f"*-{alias}.pid"), folder / f"server_id_{process.pid}"):
            left.unlink(missing_ok=True)


def is_healthy(url: str) -> bool:
    """Whether Milvus's own health page says OK (it does so a moment before queries succeed)."""
    try:
        answer = httpx.get(url, timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.text.startswith("OK")


def answers(uri: str) -> bool:
    """Whether a real call over gRPC succeeds within 5 s."""
    try:
        client = MilvusClient(uri, timeout=5)
    except (MilvusException, grpc.RpcError):
        return False
    try:
        client.list_collections(timeout=5)
    except (MilvusException, grpc.RpcError):
        # pymilvus lets a gRPC error through as it is when a deadline passes.
        return False
    finally:
        client.close()
    return True

"""A real Milvus as a process in a network namespace of its own.

Milvus listens on all interfaces whatever its settings say, and its ports are fixed: the namespace keeps it
off the machine's network and lets several run side by side. A veth pair leads to it from this machine only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import grpc
import httpx
from pymilvus import MilvusClient, MilvusException

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.prerequisites import program
from tests.testbed.cluster.toolchain import Progress
from tests.testbed.stores.programs import MILVUS_RECIPE, milvus_program, silent
from tests.testbed.stores.server_process import ServerProcess

START_SECONDS = 90.0
PORT = 19530
HEALTH_PORT = 9091
# 10.213.250.0/24 cut into 64 networks of two usable addresses each; the testbed's clusters stay below 240.
_NETWORK = "10.213.250"
_SLOTS = 64
# Lock files go here, or to /tmp/milvus when it cannot be written; Milvus never removes them.
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
        self._slot: int | None = None
        self.process: ServerProcess | None = None

    @property
    def uri(self) -> str:
        """``http://10.213.250.x:19530``; it stays over ``kill`` and ``start``."""
        return f"http://{self._address(2)}:{PORT}"

    def _address(self, host: int) -> str:
        assert self._slot is not None, "not started"
        return f"{_NETWORK}.{4 * self._slot + host}"

    @property
    def _interface(self) -> str:
        return f"test-milvus{self._slot}"

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
        # The shell waits inside the new namespace until its network is there, then becomes the server.
        wait_then = ["unshare", "--net", "sh", "-c", 'read -r _ && exec "$@"', "sh"]
        self.process = ServerProcess(
            "Milvus",
            [*wait_then, binaries / "milvus", "run", "standalone", "-alias", self._home.name],
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
            self._connect_namespace(self.process)
            self.process.tell("go\n")
            health = f"http://{self._address(2)}:{HEALTH_PORT}/healthz"
            self.process.await_ready(lambda: is_healthy(health) and answers(self.uri), timeout=START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self.uri

    def _connect_namespace(self, process: ServerProcess) -> None:
        own = os.readlink("/proc/self/ns/net")
        process.await_ready(lambda: os.readlink(f"/proc/{process.pid}/ns/net") != own, timeout=10)
        ip, nsenter = program("ip") or "ip", program("nsenter") or "nsenter"
        inside = [nsenter, "-t", process.pid, "-n", ip]
        slots = [self._slot] if self._slot is not None else list(range(_SLOTS))
        self._slot = self._claim_slot(slots, process.pid)
        for command in (
            [ip, "addr", "add", f"{self._address(1)}/30", "dev", self._interface],
            [ip, "link", "set", self._interface, "up"],
            [*inside, "link", "set", "lo", "up"],
            [*inside, "addr", "add", f"{self._address(2)}/30", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
        ):
            run(command, what="connecting Milvus's network namespace")

    @staticmethod
    def _claim_slot(slots: list[int], pid: int) -> int:
        """The first slot whose interface name is free; making the interface is what claims it."""
        for slot in slots:
            pair = [
                "link",
                "add",
                f"test-milvus{slot}",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                str(pid),
            ]
            done = subprocess.run([program("ip") or "ip", *pair], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return slot
            if "File exists" not in done.stderr:
                raise TestbedError(f"making a veth pair for Milvus: {done.stderr.strip()}")
        raise TestbedError(f"all of {len(slots)} networks for a local Milvus are taken: see `ip link`")

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Cut the cable: inside, packets to it vanish (connections hang) while it keeps running."""
        ip = program("ip") or "ip"
        run([ip, "link", "set", self._interface, "down"], what="cutting Milvus off")
        try:
            yield
        finally:
            run([ip, "link", "set", self._interface, "up"], what="connecting Milvus again")

    def kill(self) -> None:
        """End it without warning, keeping its data; ``start`` brings it back on the same address."""
        assert self.process is not None, "not started"
        # SIGTERM leaves a standalone server of this version hanging in its own shutdown.
        self.process.kill()
        self.process = None

    def stop(self) -> None:
        """End it and delete its data; its namespace and cable go with it. Nothing when stopped already."""
        if self.process is not None:
            self.process.kill()
            self.process = None
        self._slot = None
        if self._home is not None:
            for folder in _RUN_FOLDERS:
                (folder / f"standalone-{self._home.name}.pid").unlink(missing_ok=True)
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def __enter__(self) -> LocalMilvus:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


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

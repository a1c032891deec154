"""A network of two addresses between this machine and the network namespace of one server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.prerequisites import program
from tests.testbed.stores.server_process import ServerProcess

# 10.213.250.0/24 cut into 64 networks of two usable addresses each; the testbed's clusters stay below 240.
_NETWORK = "10.213.250"
_SLOTS = 64
# The shell waits inside the new namespace until its network is there, then becomes the server.
IN_NEW_NAMESPACE = ("unshare", "--net", "sh", "-c", 'read -r _ && exec "$@"', "sh")


class VethLink:
    """A veth pair into a server's own namespace. It goes with the namespace; addresses stay over `connect`s.

    Needs root.
    """

    def __init__(self) -> None:
        self._slot: int | None = None

    @property
    def inside(self) -> str:
        """The server's address, IPv4."""
        return self._address(2)

    def connect(self, process: ServerProcess) -> None:
        """Connects a process that was started with IN_NEW_NAMESPACE before its command, and lets it begin.

        Raises TestbedError when all 64 networks are taken.
        """
        own = os.readlink("/proc/self/ns/net")
        process.await_ready(lambda: os.readlink(f"/proc/{process.pid}/ns/net") != own, timeout=10)
        ip, nsenter = program("ip") or "ip", program("nsenter") or "nsenter"
        within = [nsenter, "-t", process.pid, "-n", ip]
        slots = [self._slot] if self._slot is not None else list(range(_SLOTS))
        self._slot = self._claim_slot(slots, process.pid)
        for command in (
            [ip, "addr", "add", f"{self._address(1)}/30", "dev", self._interface],
            [ip, "link", "set", self._interface, "up"],
            [*within, "link", "set", "lo", "up"],
            [*within, "addr", "add", f"{self._address(2)}/30", "dev", "eth0"],
            [*within, "link", "set", "eth0", "up"],
        ):
            run(command, what="connecting Milvus's network namespace")
        process.tell("go\n")

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Inside, packets to the server vanish (connections hang) while it keeps running."""
        ip = program("ip") or "ip"
        run([ip, "link", "set", self._interface, "down"], what="cutting Milvus off")
        try:
            yield
        finally:
            run([ip, "link", "set", self._interface, "up"], what="connecting Milvus again")

    def _address(self, host: int) -> str:
        assert self._slot is not None, "not connected"
        return f"{_NETWORK}.{4 * self._slot + host}"

    @property
    def _interface(self) -> str:
        return f"test-milvus{self._slot}"

    @staticmethod
    def _claim_slot(slots: list[int], pid: int) -> int:
        """The first slot whose interface name is free; making the interface is what claims it."""
        for slot in slots:
            ends = ["link", "add", f"test-milvus{slot}", "type", "veth", "peer", "name", "eth0"]
            command = [program("ip") or "ip", *ends, "netns", str(pid)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return slot
            if "File exists" not in done.stderr:
                raise TestbedError(f"making a veth pair for Milvus: {done.stderr.strip()}")
        raise TestbedError(f"all of {len(slots)} networks for a local Milvus are taken: see `ip link`")

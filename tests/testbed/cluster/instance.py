"""One embedded node: its names, addresses and folders, and how to ask it something."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.prerequisites import program
from tests.testbed.cluster.toolchain import BY_NAME, NODE_SETS

SCRIPTS = Path(__file__).parent / "node"
# The third octet of an instance's first network; it takes three in a row. Others are spread by name.
_FIRST_OCTET = {"demo": 77, "test": 87}
_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")


@dataclass(frozen=True)
class Node:
    """Names, addresses and folders of one instance; ``up`` and ``down`` act on nothing else."""

    instance: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.instance):
            raise TestbedError(
                f"instance {self.instance!r}: 1 to 10 lower-case letters and digits, a letter first"
            )

    @property
    def home(self) -> Path:
        """State, logs, certificates and kubeconfigs."""
        return cache_root() / "clusters" / self.instance

    @property
    def interface(self) -> str:
        """The machine's end of the cable to the node (at most 15 characters)."""
        return f"sso-{self.instance}"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup that holds all pods."""
        return f"sso-{self.instance}"

    def network(self, offset: int) -> str:
        """First three octets of the instance's machine (0), pod (1) or Service (2) network."""
        first = _FIRST_OCTET.get(self.instance, 97 + 10 * (zlib.crc32(self.instance.encode()) % 15))
        return f"10.213.{first + offset}"

    @property
    def host_ip(self) -> str:
        """Address of the machine as pods see it."""
        return f"{self.network(0)}.1"

    @property
    def node_ip(self) -> str:
        """Address of the node and its API server (port 6443)."""
        return f"{self.network(0)}.2"

    @property
    def pod_net(self) -> str:
        """Where pods get their addresses from."""
        return f"{self.network(1)}.0/24"

    @property
    def service_net(self) -> str:
        """Where Services get their addresses from."""
        return f"{self.network(2)}.0/24"

    @property
    def api_service_ip(self) -> str:
        """Address of the Service ``kubernetes``."""
        return f"{self.network(2)}.1"

    @property
    def dns_ip(self) -> str:
        """Address of the cluster's name server."""
        return f"{self.network(2)}.10"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home / "admin.kubeconfig"

    @property
    def kubectl(self) -> Path:
        """kubectl of the node's own version."""
        return self.home / "bin" / "kubectl"

    @property
    def audit_log(self) -> Path:
        """One JSON line per write request (audit.k8s.io/v1 Event, metadata only)."""
        return self.home / "logs" / "audit.log"

    @property
    def init_pid(self) -> int | None:
        """Process id of the node's PID 1 as the machine sees it, or None when it does not run."""
        try:
            pid = int((self.home / "init.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        # A process id may have been given away since, so look at what runs under it. Another checkout may have
        # started it: what counts is the state folder that it runs on.
        runs_a_node = any(part.endswith(b"/cluster/node/inner.sh") for part in command)
        return pid if runs_a_node and self._owns(pid) else None

    def _owns(self, pid: int) -> bool:
        return f"NODE_HOME={self.home}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")

    def ask(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Run the node's kubectl as administrator and return what it prints."""
        command = [self.kubectl, "--kubeconfig", self.kubeconfig, *arguments]
        return run(command, what=f"kubectl {' '.join(arguments[:4])}", timeout=timeout, stdin=stdin)

    def answers(self, *arguments: str, says: str = "") -> bool:
        """Whether that kubectl command succeeds within 5 s and prints ``says``."""
        command = [
            str(self.kubectl),
            "--kubeconfig",
            str(self.kubeconfig),
            "--request-timeout=5s",
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode == 0 and says in done.stdout

    def in_mounts(self, *command: object) -> list[str]:
        """The command line that runs ``command`` where the node's own /run and /var/lib are."""
        nsenter = program("nsenter") or "nsenter"
        return [nsenter, "-t", str(self.init_pid), "-m", "--", *(str(part) for part in command)]

    def recipe(self) -> str:
        """Hash of all that a running node was made from, to notice that it is out of date."""
        digest = hashlib.sha256(json.dumps([BY_NAME[name].key for name in NODE_SETS]).encode())
        for path in sorted(path for path in SCRIPTS.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(path.read_bytes())
        return digest.hexdigest()

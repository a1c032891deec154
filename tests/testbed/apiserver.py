"""A bare Kubernetes API server on loopback, for what needs neither nodes nor controllers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.cluster.commands import run, wait_until
from tests.testbed.cluster.toolchain import BY_NAME, build_tools

READY_WITHIN = 90.0
STOPS_WITHIN = 20.0


@dataclass(frozen=True)
class ApiServer:
    """A running API server; `kubeconfig` may do everything."""

    kubeconfig: Path
    url: str
    certificate: Path
    token: str
    kubectl: Path

    def ask(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """What kubectl prints for `arguments`. Raises TestbedError when it fails."""
        return run(
            [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments],
            what=f"kubectl {' '.join(arguments[:3])}",
            stdin=stdin,
            timeout=timeout,
        )


@contextmanager
def api_server(progress: Callable[[str], None] = print) -> Iterator[ApiServer]:
    """Run an API server with an empty store of its own until the block ends.

    Builds the binaries where they are not cached yet. Raises TestbedError when it is not ready in time.
    """
    build_tools(("etcd", "kubernetes"), progress=progress)
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="apiserver-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        store, peer, secure = _free_ports(3)
        stack.enter_context(_process(home, "etcd", _etcd(home, store, peer)))
        token = secrets.token_hex(16)
        stack.enter_context(_process(home, "kube-apiserver", _apiserver(home, token, store, secure)))
        url = f"https://127.0.0.1:{secure}"
        certificate = home / "apiserver.crt"
        wait_until(
            lambda: _ready(url, certificate, token),
            timeout=READY_WITHIN,
            what=f"the API server at {url} (log: {home / 'kube-apiserver.log'})",
        )
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(url, certificate, token))
        yield ApiServer(kubeconfig, url, certificate, token, BY_NAME["kubernetes"].bin / "kubectl")


def _etcd(home: Path, port: int, peer: int) -> list[str]:
    client = f"http://127.0.0.1:{port}"
    own = f"http://127.0.0.1:{peer}"
    return [
        str(BY_NAME["etcd"].bin / "etcd"),
        f"--data-dir={home / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={own}",
        f"--initial-advertise-peer-urls={own}",
        f"--initial-cluster=default={own}",
        "--unsafe-no-fsync",
    ]


def _apiserver(home: Path, token: str, store: int, port: int) -> list[str]:
    key = home / "service-accounts.key"
    run(["openssl", "genrsa", "-out", str(key), "2048"], what="make the service accounts' key", timeout=30)
    tokens = home / "tokens.csv"
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    return [
        str(BY_NAME["kubernetes"].bin / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The kubernetes Service would otherwise want an endpoint that is no loopback address.
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--cert-dir={home}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--disable-admission-plugins=ServiceAccount",
    ]


@contextmanager
def _process(home: Path, name: str, command: Sequence[str]) -> Iterator[None]:
    with (home / f"{name}.log").open("w") as log:
        # Ends with us even when we are killed and nothing below runs.
        bound = ["setpriv", "--pdeathsig", "KILL", *command]
        process = subprocess.Popen(bound, cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str, certificate: Path, token: str) -> bool:
    if not certificate.exists():
        return False
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _kubeconfig(url: str, certificate: Path, token: str) -> str:
    """A kubeconfig as JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [
                {"name": "test", "cluster": {"server": url, "certificate-authority": os.fspath(certificate)}}
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
        }
    )


def _free_ports(count: int) -> list[int]:
    """Ports that were free just now; all are held until the last is found, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]

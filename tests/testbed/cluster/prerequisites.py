"""The few Debian packages that the embedded node needs and Go cannot build, and a browser for the page's tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.toolchain import Progress

PACKAGE_OF: Mapping[str, str] = {
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
BROWSER_PACKAGE_OF: Mapping[str, str] = {
    "chromium": "chromium",
    # Without it Chinese is drawn as boxes.
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc": "fonts-noto-cjk",
}
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str) -> str | None:
    """Path of a program, looked for in the system folders too (not everyone has them on PATH)."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")


def _there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else program(name) is not None


def missing_packages(package_of: Mapping[str, str] = PACKAGE_OF) -> list[str]:
    """Debian packages whose programs (or files, by absolute path) are not there."""
    return sorted({package for name, package in package_of.items() if not _there(name)})


def require_root() -> None:
    """Raise TestbedError unless we may make namespaces, mounts and network devices."""
    if os.geteuid() != 0:
        raise TestbedError(
            "the embedded node needs root (namespaces, mounts, a network device): run as root, "
            "or start a Docker engine, or set KUBECONFIG to a cluster you have"
        )


def ensure_prerequisites(progress: Progress, package_of: Mapping[str, str] = PACKAGE_OF) -> None:
    """Install what is missing with apt-get; do nothing when all is there.

    Raises TestbedError where that needs root or another package manager, naming the packages.
    """
    packages = missing_packages(package_of)
    if not packages:
        return
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise TestbedError(f"missing programs; install the equivalents of these Debian packages: {wanted}")
    if os.geteuid() != 0:
        raise TestbedError(f"missing packages; as root: apt-get update && apt-get install -y {wanted}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    progress(f"prerequisites: apt-get install {wanted}")
    remedy = (
        f"check the network and /etc/apt/sources.list*, then: apt-get update && apt-get install -y {wanted}"
    )
    run(
        ["apt-get", "update", "-qq"],
        what="apt-get update",
        timeout=300,
        environment=environment,
        remedy=remedy,
    )
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        what=f"installing {wanted}",
        timeout=600,
        environment=environment,
        remedy=remedy,
    )
    left = missing_packages(package_of)
    if left:
        raise TestbedError(
            f"installed, but still missing: {', '.join(left)}; look at `apt-get install {wanted}`"
        )
    progress("prerequisites: done")

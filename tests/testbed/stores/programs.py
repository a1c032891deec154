"""The two servers' programs, fetched or built once per pinned version and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.toolchain import Progress, locked

MILVUS_RECIPE = Path(__file__).parent / "milvus"
MILVUS_CLUSTER_RECIPE = Path(__file__).parent / "milvus_cluster"
ELASTICSEARCH_RECIPE = Path(__file__).parent / "elasticsearch"
JAVA_RELEASE = 17
_FETCH_SECONDS = 900


def silent(_message: str) -> None:
    """A progress callback that says nothing."""


def sources_key(*files: Path) -> str:
    """First 16 hex digits of the SHA-256 over names and contents, the same in any order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _made_once(folder: Path, what: str, make: Callable[[Path], None], progress: Progress) -> Path:
    """``folder``, filled by ``make`` if it is not there; it appears only when ``make`` succeeded."""
    if folder.is_dir():
        return folder
    with locked(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        progress(f"{what}: preparing")
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
        progress(f"{what}: done")
    return folder


def milvus_program(progress: Progress = silent) -> Path:
    """Folder with the ``milvus`` server binary and its libraries (about 250 MB)."""
    requirements = MILVUS_RECIPE / "requirements.txt"

    def make(folder: Path) -> None:
        package = folder / "package"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        run(
            [*pip, "--target", package, "-r", requirements],
            what="fetching the Milvus server",
            timeout=_FETCH_SECONDS,
            remedy="check the network and pip's index",
        )
        run(
            [sys.executable, "-c", "import milvus, sys; milvus._initialize_data_files(sys.argv[1])", folder],
            what="unpacking the Milvus server",
            timeout=120,
            environment={**os.environ, "PYTHONPATH": str(package)},
        )
        shutil.rmtree(package)

    root = cache_root() / "stores" / f"milvus-{sources_key(requirements)}"
    return _made_once(root, "Milvus server", make, progress) / "bin"


def java() -> Path:
    """The ``java`` of JAVA_HOME, else of PATH; TestbedError when there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    remedy = (
        f"install a JDK {JAVA_RELEASE} (Debian: apt-get install openjdk-{JAVA_RELEASE}-jdk-headless maven)"
    )
    if found is None:
        raise TestbedError(f"no java on PATH; {remedy}")
    said = run([found, "--version"], what=f"{found} --version", remedy=remedy)
    release = re.match(r"\S+ (\d+)", said)
    if release is None or int(release[1]) < JAVA_RELEASE:
        raise TestbedError(f"{found} is {said.splitlines()[0]!r}; {remedy}")
    return Path(found)


def elasticsearch_jars(progress: Progress = silent) -> Path:
    """Folder with the jars of the Elasticsearch node: our launcher and what Maven resolved for it."""
    sources = [ELASTICSEARCH_RECIPE / "pom.xml", *(ELASTICSEARCH_RECIPE / "src").rglob("*.java")]
    return _jars("elasticsearch", "Elasticsearch node", ELASTICSEARCH_RECIPE, sources, progress)


def kafka_jars(progress: Progress = silent) -> Path:
    """Folder with the jars of a Kafka broker (45 MB)."""
    sources = [MILVUS_CLUSTER_RECIPE / "pom.xml"]
    return _jars("kafka", "Kafka broker", MILVUS_CLUSTER_RECIPE, sources, progress)


def _jars(name: str, what: str, recipe: Path, sources: list[Path], progress: Progress) -> Path:
    """Folder with what `mvn package` makes of a recipe and resolves for it, once per content of `sources`."""

    def make(folder: Path) -> None:
        maven = shutil.which("mvn")
        if maven is None:
            raise TestbedError("no mvn on PATH; install Maven (Debian: apt-get install maven)")
        work = folder.with_name(f"{folder.name}.work")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(recipe, work)
        run(
            [maven, "-B", "-q", "-f", work / "pom.xml", "package"],
            what=f"building the {what} with Maven",
            timeout=_FETCH_SECONDS,
            remedy="check the network and ~/.m2/settings.xml",
        )
        for jar in [*(work / "target").glob("*.jar"), *(work / "target" / "lib").glob("*.jar")]:
            shutil.copy(jar, folder)
        shutil.rmtree(work)

    root = cache_root() / "stores" / f"{name}-{sources_key(*sources)}"
    return _made_once(root, what, make, progress)

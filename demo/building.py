"""Steps that build: the cluster's programs, the base image, the weights, the five images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.parts import (
    DOCKERFILES,
    OLDER_WEIGHTS_IMAGE,
    OPERATOR_IMAGE,
    PLANE_IMAGE,
    REPOSITORY,
    WEIGHTS_IMAGE,
)
from demo.steps import Say, Step, StepFailed
from tests.testbed.cluster import build_base, build_image, cache_root
from tests.testbed.cluster.images import docker_answers
from tests.testbed.cluster.prerequisites import (
    BROWSER_PACKAGE_OF,
    ensure_prerequisites,
    missing_packages,
    require_root,
)
from tests.testbed.cluster.toolchain import BY_NAME, NODE_SETS, TOOL_SETS, binary, build_tools
from tests.testbed.stores.images import build_elasticsearch, build_milvus
from tests.testbed.stores.programs import elasticsearch_jars, milvus_program
from tests.testbed.weights.bge import BGE_SMALL_ZH, BGE_SMALL_ZH_V15
from tests.testbed.weights.context import weights_context
from tests.testbed.weights.published import PublishedWeights

_PROGRAMS = {
    "go": "Go (https://go.dev/dl)",
    "java": "Java 17 (apt-get install openjdk-17-jdk-headless)",
    "mvn": "Maven (apt-get install maven)",
}


def own_cluster() -> bool:
    """Whether the cluster is to be the embedded node, for lack of KUBECONFIG and of a Docker engine."""
    return not os.environ.get("KUBECONFIG") and not docker_answers()


def build_prerequisites(say: Say) -> str:
    """Programs that the README names; Debian packages are installed where we may."""
    if missing := [text for name, text in _PROGRAMS.items() if shutil.which(name) is None]:
        raise StepFailed("not on PATH: " + "; ".join(missing))
    if docker_answers():
        return "a Docker engine answers"
    require_root()
    added = missing_packages()
    ensure_prerequisites(say)
    return f"installed {', '.join(added)}" if added else "all there"


def browser(say: Say) -> str:
    """Chromium and Chinese fonts, for the tests of the gateway's page."""
    added = missing_packages(BROWSER_PACKAGE_OF)
    ensure_prerequisites(say, BROWSER_PACKAGE_OF)
    return f"installed {', '.join(added)}" if added else "all there"


def client_prerequisites(_say: Say) -> str:
    """What a cluster that has everything asks for: kubectl, or Go to build it."""
    if shutil.which("kubectl") is None and shutil.which("go") is None:
        raise StepFailed("neither kubectl nor go is on PATH")
    return "all there"


def cluster_programs(say: Say) -> str:
    """Kubernetes for the embedded node, or kind and kubectl."""
    if not own_cluster():
        return shutil.which("kubectl") or str(binary("kubectl", progress=say))
    return _programs(NODE_SETS, say)


def all_programs(say: Say) -> str:
    """Every program that a test may start."""
    return _programs(tuple(tools.name for tools in TOOL_SETS), say)


def _programs(names: Sequence[str], say: Say) -> str:
    to_build = [name for name in names if not BY_NAME[name].built()]
    for number, name in enumerate(to_build, start=1):
        say(f"{number} of {len(to_build)}: {name}")
        build_tools([name], progress=say)
    return f"built {', '.join(to_build)}" if to_build else "from the cache"


def base_image(say: Say) -> str:
    """The base of all images."""
    return build_base(progress=say)


def _weights(published: PublishedWeights) -> Callable[[Say], str]:
    """A real Chinese encoder."""

    def make(_say: Say) -> str:
        made = published.artefact()
        size = sum(path.stat().st_size for path in made.path.iterdir()) >> 20
        return f"{made.identity.model}, {size} MiB, artefact {made.digest[:12]}"

    return make


def elasticsearch_server(say: Say) -> str:
    """Elasticsearch's jars, which its image takes in."""
    jars = sum(1 for _ in elasticsearch_jars(say).glob("*.jar"))
    return f"{jars} jars"


def milvus_server(say: Say) -> str:
    """Milvus as a program of this machine, for tests that need no cluster."""
    milvus_program(say)
    return "unpacked"


def build_weights_image(tag: str, published: PublishedWeights, say: Say) -> Path:
    """The archive of an image that holds only the weights, to be mounted as a volume."""
    folder = published.artefact().path
    # A folder of its own for each, since two may be built side by side.
    context = weights_context(folder, cache_root() / "weights" / "image-contexts" / published.name)
    return build_image(tag, context, progress=say)


def _weights_image(tag: str, published: PublishedWeights) -> Callable[[Say], str]:
    return lambda say: _described(build_weights_image(tag, published, say))


def _own_image(tag: str) -> Callable[[Say], str]:
    def build(say: Say) -> str:
        return _described(build_image(tag, REPOSITORY, dockerfile=DOCKERFILES[tag], progress=say))

    return build


def _milvus_image(say: Say) -> str:
    return build_milvus(say)


def _elasticsearch_image(say: Say) -> str:
    return build_elasticsearch(say)


def _described(archive: Path) -> str:
    return f"{archive.stat().st_size >> 20} MiB, build {build_of(archive)}"


def build_of(archive: Path) -> str:
    """The part of an archive's name that changes with its content."""
    return archive.stem.rsplit("-", 1)[-1]


NETWORK = "Check the network, and that pip, Go and Maven reach their registries"


def building_steps(*, images: bool = True) -> list[Step]:
    """The steps in an order that satisfies their needs; the long one comes first. Without `images`, no image."""
    prerequisites = build_prerequisites if images else client_prerequisites
    steps = [
        Step("prerequisites", "Prerequisites", prerequisites, remedy="Install what is missing"),
        Step("programs", "Cluster's programs", cluster_programs, ("prerequisites",), NETWORK),
    ]
    if not images:
        return steps
    return [
        *steps,
        Step("base", "Base image", base_image, ("prerequisites",), NETWORK),
        Step("weights", "Encoder's weights", _weights(BGE_SMALL_ZH_V15), ("prerequisites",), NETWORK),
        Step("jars", "Elasticsearch's jars", elasticsearch_server, ("prerequisites",), NETWORK),
        Step("milvus image", "Image of Milvus", _milvus_image, ("base",), NETWORK),
        Step(
            "elasticsearch image", "Image of Elasticsearch", _elasticsearch_image, ("base", "jars"), NETWORK
        ),
        Step("operator image", "Image of the operator", _own_image(OPERATOR_IMAGE), ("base",), NETWORK),
        Step("plane image", "Image of encoder, gateway, jobs", _own_image(PLANE_IMAGE), ("base",), NETWORK),
        Step(
            "weights image",
            "Image of the weights",
            _weights_image(WEIGHTS_IMAGE, BGE_SMALL_ZH_V15),
            ("weights",),
            NETWORK,
        ),
    ]


def building_steps_for_tests() -> list[Step]:
    """All that tests would else build in the middle of a test: more programs, and Milvus outside a cluster."""
    steps = [
        Step(step.key, step.title, all_programs, step.after, step.remedy) if step.key == "programs" else step
        for step in building_steps()
    ]
    return [
        *steps,
        Step("browser", "Browser", browser, ("prerequisites",), NETWORK),
        Step("milvus", "Milvus's server", milvus_server, ("prerequisites",), NETWORK),
        Step(
            "older weights", "Second encoder's weights", _weights(BGE_SMALL_ZH), ("prerequisites",), NETWORK
        ),
        Step(
            "older weights image",
            "Image of the second weights",
            _weights_image(OLDER_WEIGHTS_IMAGE, BGE_SMALL_ZH),
            ("older weights",),
            NETWORK,
        ),
    ]

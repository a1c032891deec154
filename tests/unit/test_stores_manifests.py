"""The stores' manifests hold what their Dockerfiles and the code promise."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.testbed.stores.deployment import (
    ELASTICSEARCH_PORT,
    MANIFESTS,
    MILVUS_PORT,
    NAMESPACE,
    Stores,
)
from tests.testbed.stores.images import ELASTICSEARCH_IMAGE, MILVUS_IMAGE
from tests.testbed.stores.programs import ELASTICSEARCH_RECIPE, MILVUS_RECIPE

IMAGE_OF = {"milvus": MILVUS_IMAGE, "elasticsearch": ELASTICSEARCH_IMAGE}
RECIPE_OF = {"milvus": MILVUS_RECIPE, "elasticsearch": ELASTICSEARCH_RECIPE}
stores = pytest.mark.parametrize("store", ["milvus", "elasticsearch"])


def manifest(store: str, kind: str) -> Any:
    documents = list(yaml.safe_load_all((MANIFESTS / f"{store}.yaml").read_text()))
    return next(document for document in documents if document["kind"] == kind)


def container(store: str) -> Any:
    (only,) = manifest(store, "Deployment")["spec"]["template"]["spec"]["containers"]
    return only


@stores
def test_the_pod_runs_the_image_that_is_built_here(store: str) -> None:
    assert container(store)["image"] == IMAGE_OF[store]
    assert container(store)["imagePullPolicy"] == "IfNotPresent"


@stores
def test_the_pod_runs_as_the_images_user_and_writes_only_to_volumes(store: str) -> None:
    dockerfile = (RECIPE_OF[store] / "Dockerfile").read_text()
    pod = manifest(store, "Deployment")["spec"]["template"]["spec"]
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in dockerfile
    assert container(store)["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {mount["mountPath"] for mount in container(store)["volumeMounts"]}
    folder = re.search(r"^WORKDIR (\S+)$", dockerfile, re.M)
    assert folder is not None
    assert {folder[1], "/tmp"} <= mounted


@stores
def test_two_servers_never_answer_side_by_side(store: str) -> None:
    spec = manifest(store, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@stores
def test_the_service_leads_to_ports_of_the_pod(store: str) -> None:
    service = manifest(store, "Service")["spec"]
    labels = manifest(store, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    exposed = {port["name"]: port["containerPort"] for port in container(store)["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == exposed


def test_addresses_name_the_services() -> None:
    for store, port, address in (
        ("milvus", MILVUS_PORT, Stores().milvus_uri),
        ("elasticsearch", ELASTICSEARCH_PORT, Stores().elasticsearch_url),
    ):
        service = manifest(store, "Service")
        assert address == f"http://{service['metadata']['name']}.{NAMESPACE}.svc:{port}"
        assert port in [port["port"] for port in service["spec"]["ports"]]
        assert service["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize("recipe", RECIPE_OF.values(), ids=RECIPE_OF)
def test_what_pip_installs_is_pinned_with_its_hash(recipe: Any) -> None:
    lines = (recipe / "requirements.txt").read_text().replace("\\\n", "").splitlines()
    requirements = [line for line in lines if line and not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert re.fullmatch(r"[\w-]+==[\d.]+\s+--hash=sha256:[0-9a-f]{64}", line), line

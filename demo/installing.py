"""Steps on the cluster: it comes up, images go in, then stores, catalogue, operator, and the index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from elasticsearch import ApiError, Elasticsearch, TransportError
from elasticsearch.helpers import BulkIndexError

from demo.building import build_of, building_steps
from demo.cluster_access import Object, get, rolled_out, service_url, shell_function, trouble_in, watch
from demo.index_status import condition, is_ready, progress_line, speed, why_not_ready
from demo.parts import (
    BUILD_ANNOTATION,
    CATALOGUE_INDEX,
    CATALOGUE_SIZE,
    GATEWAY,
    GPUS,
    INDEX,
    INSTALL,
    INSTANCE,
    OPERATOR,
    OPERATOR_IMAGE,
    OWN_LABEL,
    PLANE_IMAGE,
    RESOURCE,
    SAMPLE,
    SEARCH_IMAGES,
    SEARCH_NAMESPACE,
    STORE_IMAGES,
    STORES,
    STORES_NAMESPACE,
    SYSTEM_NAMESPACE,
)
from demo.queries import QUERIES, Answer, ask
from demo.steps import Say, Step, StepFailed
from sample_catalogue import load
from tests.testbed.cluster import Cluster, TestbedError, bring_up, load_image, patch_gpu
from tests.testbed.cluster.images import archives_of
from tests.testbed.crd_serving import await_served
from tests.testbed.stores import deploy
from tests.testbed.stores.deployment import MANIFESTS as STORE_MANIFESTS

STORES_SECONDS = 240
OPERATOR_SECONDS = 300
READY_SECONDS = 900
GATEWAY_SECONDS = 180
_PLANE_PODS = f"semanticsearch.io/index={INDEX},app.kubernetes.io/component in (encoder,gateway)"


class Installation:
    """What the steps find out for each other: the cluster, the index, the answers."""

    def __init__(self, *, images_are_there: bool = False) -> None:
        """`images_are_there`: the nodes of a given cluster have the images already."""
        self.images_are_there = images_are_there
        self._cluster: Cluster | None = None
        self.index: Object = {}
        self.answers: list[Answer] = []

    @property
    def cluster(self) -> Cluster:
        """The cluster; only after the step that brings it up."""
        assert self._cluster is not None
        return self._cluster

    def bring_up_cluster(self, say: Say) -> str:
        """The cluster, and the namespaces of ours in it."""
        self._cluster = bring_up(INSTANCE, progress=say)
        for name in (STORES_NAMESPACE, SEARCH_NAMESPACE, SYSTEM_NAMESPACE):
            self._own_namespace(name)
        version = json.loads(self.cluster.ask("version", "-o", "json"))["serverVersion"]["gitVersion"]
        return f"{self.cluster.kind}, Kubernetes {version}"

    def _own_namespace(self, name: str) -> None:
        key, value = OWN_LABEL
        found = get(self.cluster, "namespace", name)
        if found and found["metadata"].get("labels", {}).get(key) != value:
            raise StepFailed(
                f"namespace {name} is there already and was not made by the demo; remove or rename it first",
                look=[shell_function(self.cluster), f"k -n {name} get all"],
            )
        labels = {key: value, "pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        # Server-side, so that what the manifests say about the same namespace stays theirs.
        self.cluster.ask(
            "apply", "--server-side", "--field-manager=demo", "-f", "-", stdin=json.dumps(namespace)
        )

    def load_images(self, tags: tuple[str, ...]) -> Callable[[Say], str]:
        """A step's action that makes the images known to the nodes."""

        def act(say: Say) -> str:
            if self.images_are_there:
                return "taken as being on the nodes already"
            if self.cluster.kind == "given":
                raise StepFailed(
                    "the nodes of a given cluster take images from where you put them: load "
                    f"{', '.join(tags)} into them (archives are in {archives_of(tags[0])[-1].parent}), then run "
                    "`python -m demo up --images-on-nodes`; or unset KUBECONFIG to use a cluster made here"
                )
            for tag in tags:
                say(f"loading {tag}")
                load_image(self.cluster, tag)
            return f"{len(tags)} images"

        return act

    def offer_gpus(self, _say: Say) -> str:
        """T4s in the nodes' capacity."""
        patch_gpu(self.cluster, GPUS)
        if self.cluster.kind == "given":
            return "the cluster's own"
        return f"{GPUS} in the nodes' capacity; they are fake: scheduled like T4s, while encoders compute on the CPU"

    def deploy_stores(self, say: Say) -> str:
        """Milvus and Elasticsearch as pods; a new build of an image takes over, and starts empty."""
        for name, image in zip(STORES, STORE_IMAGES, strict=True):
            if self._is_new_build(image, get(self.cluster, "deployment", name, STORES_NAMESPACE)):
                say(f"a new build of {image}: restarting")
                self.cluster.ask("-n", STORES_NAMESPACE, "rollout", "restart", f"deployment/{name}")
        if self.images_are_there:
            self.cluster.ask("apply", "-k", str(STORE_MANIFESTS))
            for name in STORES:
                rolled_out(self.cluster, STORES_NAMESPACE, name, STORES_SECONDS)
            return "Milvus and Elasticsearch are ready"
        try:
            deploy(self.cluster, say)
        except TestbedError as error:
            raise trouble_in(self.cluster, STORES_NAMESPACE, str(error).splitlines()[0]) from error
        for name, image in zip(STORES, STORE_IMAGES, strict=True):
            self._note_build(image, STORES_NAMESPACE, "deployment", name)
        return "Milvus 2.3.5 and Elasticsearch 8.19 answer"

    def load_catalogue(self, say: Say) -> str:
        """The sample catalogue, unless it is there."""
        with service_url(self.cluster, STORES_NAMESPACE, "elasticsearch") as url:
            client = Elasticsearch(url, request_timeout=60, retry_on_timeout=True, max_retries=5)
            with client:
                try:
                    if client.indices.exists(index=CATALOGUE_INDEX):
                        client.indices.refresh(index=CATALOGUE_INDEX)
                        found = int(client.count(index=CATALOGUE_INDEX)["count"])
                        if found >= CATALOGUE_SIZE:
                            return f"{found:,} products are there already"
                    loaded = load(
                        client,
                        CATALOGUE_INDEX,
                        CATALOGUE_SIZE,
                        progress=lambda done, total: say(f"{done:,} of {total:,} products"),
                    )
                except (ApiError, TransportError, BulkIndexError) as error:
                    raise trouble_in(
                        self.cluster, STORES_NAMESPACE, f"Elasticsearch did not take the products: {error}"
                    ) from error
        return f"{loaded:,} products in Elasticsearch"

    def install_operator(self, say: Say) -> str:
        """The operator with its CRD; a new build of its image takes over."""
        before = get(self.cluster, "deployment", OPERATOR, SYSTEM_NAMESPACE)
        self.cluster.ask("apply", "-k", str(INSTALL))
        await_served(self.cluster, RESOURCE)
        if self._is_new_build(OPERATOR_IMAGE, before):
            say("a new build of the image: restarting")
            self.cluster.ask("-n", SYSTEM_NAMESPACE, "rollout", "restart", f"deployment/{OPERATOR}")
        self._note_build(OPERATOR_IMAGE, SYSTEM_NAMESPACE, "deployment", OPERATOR)
        say("waiting for the operator")
        rolled_out(self.cluster, SYSTEM_NAMESPACE, OPERATOR, OPERATOR_SECONDS)
        return "kubectl apply -k manifests/overlays/demo"

    def _is_new_build(self, image: str, running: Object | None) -> bool:
        """Whether something that is there runs another build under the same tag, or nobody knows which."""
        noted = ((running or {}).get("metadata", {}).get("annotations") or {}).get(BUILD_ANNOTATION)
        archives = archives_of(image)
        return bool(running and archives and noted != build_of(archives[-1]))

    def _note_build(self, image: str, namespace: str, kind: str, name: str) -> None:
        if archives := archives_of(image):
            note = f"{BUILD_ANNOTATION}={build_of(archives[-1])}"
            self.cluster.ask("-n", namespace, "annotate", kind, name, "--overwrite", note)

    def apply_index(self, say: Say) -> str:
        """The one YAML file."""
        runs = get(self.cluster, RESOURCE, INDEX, SEARCH_NAMESPACE) is not None
        noted_on = get(self.cluster, "namespace", SEARCH_NAMESPACE)
        if runs and self._is_new_build(PLANE_IMAGE, noted_on):
            say("a new build of the image: replacing encoders and gateways")
            self.cluster.ask("-n", SEARCH_NAMESPACE, "delete", "pods", "-l", _PLANE_PODS, "--wait=false")
        self._note_build(PLANE_IMAGE, SEARCH_NAMESPACE, "namespace", SEARCH_NAMESPACE)
        return self.cluster.ask("apply", "-f", str(SAMPLE)).strip()

    def await_ready(self, say: Say) -> str:
        """Follow the status until the index is served."""
        last = ""
        for index in watch(self.cluster, RESOURCE, INDEX, SEARCH_NAMESPACE, READY_SECONDS):
            self.index = index
            # The speed alone changes all the time; that is no news.
            if (line := progress_line(index)) != last:
                say(line + speed(index))
                last = line
            if is_ready(index):
                rolled_out(self.cluster, SEARCH_NAMESPACE, GATEWAY, GATEWAY_SECONDS)
                return str(condition(index, "Ready").get("message", ""))
        failed = trouble_in(
            self.cluster,
            SEARCH_NAMESPACE,
            f"{INDEX} was not ready within {READY_SECONDS} s: {why_not_ready(self.index or None)}",
        )
        raise StepFailed(
            str(failed),
            tail=failed.tail,
            look=[
                *failed.look,
                f"k -n {SEARCH_NAMESPACE} describe ssi {INDEX}",
                f"k -n {SYSTEM_NAMESPACE} logs deployment/{OPERATOR} --tail=50",
            ],
        )

    def ask_queries(self, say: Say) -> str:
        """The three queries of the use case."""
        with service_url(self.cluster, SEARCH_NAMESPACE, GATEWAY) as gateway:
            for query in QUERIES:
                say(query)
                self.answers.append(ask(gateway, query))
        if empty := [answer["query"] for answer in self.answers if not answer["hits"]]:
            raise StepFailed(f"no hits for {', '.join(empty)}")
        return f"{len(self.answers)} answered"


def installing_steps(installation: Installation) -> list[Step]:
    """The steps after those of `building_steps`; images are built before they are loaded, if they are."""
    made = installation
    built = {step.key for step in building_steps(images=not made.images_are_there)}
    of_stores = tuple(key for key in ("milvus image", "elasticsearch image") if key in built)
    of_search = tuple(key for key in ("operator image", "plane image", "weights image") if key in built)
    kubectl = "Look at the pods with the commands above"
    return [
        Step(
            "cluster",
            "Cluster",
            made.bring_up_cluster,
            ("programs",),
            "`make demo-down` removes what is half up; a given cluster must answer",
        ),
        Step("gpus", "GPUs", made.offer_gpus, ("cluster",), "Give the cluster's nodes GPUs"),
        Step(
            "store images",
            "Images of the stores loaded",
            made.load_images(STORE_IMAGES),
            ("cluster", *of_stores),
        ),
        Step("stores", "Stores", made.deploy_stores, ("store images",), kubectl),
        Step("catalogue", "Catalogue", made.load_catalogue, ("stores",), kubectl),
        Step(
            "images",
            "Images of the search loaded",
            made.load_images(SEARCH_IMAGES),
            ("store images", *of_search),
        ),
        Step("operator", "Operator", made.install_operator, ("images",), kubectl),
        Step(
            "index", "Index applied", made.apply_index, ("operator", "gpus", "catalogue"), "Correct the YAML"
        ),
        Step(
            "ready",
            "Index ready",
            made.await_ready,
            ("index",),
            "Read the conditions' messages: they say what to do",
        ),
        Step("queries", "Queries", made.ask_queries, ("ready",), "Look at the gateway's log"),
    ]


def sample_path() -> Path:
    """The YAML file that is applied, relative to where make runs."""
    return SAMPLE.relative_to(INSTALL.parents[2])

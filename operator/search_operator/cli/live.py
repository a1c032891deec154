"""Live indexes and what belongs to them, for the verbs that show and change: named clearly when they are not there."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError, ReadTimeoutError

from search_operator.api.index import GROUP, KIND, PLURAL, VERSION
from search_operator.cli.resources import TIMEOUT_SECONDS, Cluster, Object, Unreadable, refusal, silence
from search_operator.render.child import INDEX_LABEL

FIELD_MANAGER = "kubectl-ssi"
WATCH_SECONDS = 240
_FEW = 8


class Moved(Exception):
    """The index has changed since it was read; read it again."""


@dataclass
class Live:
    """What a person at a terminal may ask of the API server; Unreadable, in one line, when it refuses."""

    cluster: Cluster
    namespace: str

    @classmethod
    def open(cls, kubeconfig: str | None, context: str | None, namespace: str | None) -> "Live":
        """By the kubeconfig, as kubectl does; raises Unreadable."""
        cluster = Cluster.open(kubeconfig, context)
        return cls(cluster, namespace or cluster.namespace)

    def index(self, name: str) -> Object:
        """The index of that name; Unreadable says which there are instead."""
        found = self.cluster.get(self.namespace, name)
        if found is None:
            raise Unreadable(self._absent(name))
        return found

    def one(self, name: str | None) -> Object:
        """The named index, or the only one of the namespace when none is named."""
        if name:
            return self.index(name)
        found = self.indexes()
        if len(found) == 1:
            return found[0]
        if not found:
            raise Unreadable(self._none())
        names = ", ".join(sorted(i["metadata"]["name"] for i in found))
        raise Unreadable(f"namespace {self.namespace} has {len(found)} indexes, name one: {names}")

    def indexes(self, *, everywhere: bool = False) -> list[Object]:
        """All indexes of the namespace, or of all namespaces, by namespace and name."""
        api = self.cluster.api
        try:
            if everywhere:
                said = api.list_cluster_custom_object(
                    GROUP, VERSION, PLURAL, _request_timeout=TIMEOUT_SECONDS
                )
            else:
                said = api.list_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, _request_timeout=TIMEOUT_SECONDS
                )
        except client.ApiException as error:
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error
        found: list[Object] = said["items"]
        return sorted(found, key=lambda i: (i["metadata"]["namespace"], i["metadata"]["name"]))

    def none_found(self) -> str:
        """Why the namespace has no index, as a sentence."""
        return self._none()

    def changes(self, name: str | None, *, everywhere: bool = False) -> Iterator[None]:
        """Once at the beginning, and again whenever an index (of that name) has changed, until the caller stops."""
        api = self.cluster.api
        while True:
            # Before the caller reads, so that nothing is missed in between.
            version = self._version(everywhere=everywhere)
            yield
            options: dict[str, Any] = {
                "timeout_seconds": WATCH_SECONDS,
                "_request_timeout": WATCH_SECONDS + TIMEOUT_SECONDS,
                "resource_version": version,
            }
            if name:
                options["field_selector"] = f"metadata.name={name}"
            call, place = api.list_cluster_custom_object, [GROUP, VERSION, PLURAL]
            if not everywhere:
                call, place = api.list_namespaced_custom_object, [GROUP, VERSION, self.namespace, PLURAL]
            try:
                for _ in watch.Watch().stream(call, *place, **options):
                    yield
            except client.ApiException as error:
                # 410: the version is too old to watch from; begin anew.
                if error.status != 410:
                    raise refusal(error) from error
            except ReadTimeoutError:
                continue
            except HTTPError as error:
                raise silence(error) from error

    def _version(self, *, everywhere: bool) -> str:
        api, few = self.cluster.api, {"limit": 1, "_request_timeout": TIMEOUT_SECONDS}
        try:
            if everywhere:
                said = api.list_cluster_custom_object(GROUP, VERSION, PLURAL, **few)
            else:
                said = api.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, **few)
        except client.ApiException as error:
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error
        return str(said["metadata"]["resourceVersion"])

    def patch(self, index: Object, operations: Sequence[Object], *, dry_run: bool) -> Object:
        """Apply a JSON patch. Raises Moved when the index is no longer the one that was read, Unreadable else."""
        meta = index["metadata"]
        options = {"dry_run": "All"} if dry_run else {}
        try:
            changed: Object = self.cluster.api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                meta["namespace"],
                PLURAL,
                meta["name"],
                list(operations),
                field_manager=FIELD_MANAGER,
                _content_type="application/json-patch+json",
                _request_timeout=TIMEOUT_SECONDS,
                **options,
            )
        except client.ApiException as error:
            if error.status == 409 or (error.status == 422 and self._moved(index)):
                raise Moved from error
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error
        return changed

    def _moved(self, index: Object) -> bool:
        """Whether it has changed since: the API server says of a failed test no more than 422."""
        meta = index["metadata"]
        now = self.cluster.get(meta["namespace"], meta["name"])
        return now is not None and now["metadata"]["resourceVersion"] != meta["resourceVersion"]

    def pods(self, index: Object) -> list[Object]:
        """The index's pods."""
        name, namespace = index["metadata"]["name"], index["metadata"]["namespace"]
        return self._items("list_namespaced_pod", namespace, label_selector=f"{INDEX_LABEL}={name}")

    def warnings(self, index: Object) -> list[Object]:
        """The namespace's events of type Warning."""
        namespace = index["metadata"]["namespace"]
        return self._items("list_namespaced_event", namespace, field_selector="type=Warning")

    def config_map(self, namespace: str, name: str) -> Object | None:
        """A ConfigMap, None when there is none."""
        try:
            return self._core("read_namespaced_config_map", name, namespace)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error

    def _items(self, call: str, *place: str, **selectors: str) -> list[Object]:
        try:
            found: list[Object] = self._core(call, *place, **selectors)["items"]
        except client.ApiException as error:
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error
        return found

    def _core(self, call: str, *place: str, **selectors: str) -> Object:
        api = client.CoreV1Api(self.cluster.api.api_client)
        answer = getattr(api, call)(
            *place, **selectors, _preload_content=False, _request_timeout=TIMEOUT_SECONDS
        )
        said: Object = json.loads(answer.data)
        return said

    def _absent(self, name: str) -> str:
        """Which indexes there are where one was asked for that is not."""
        here = [str(i["metadata"]["name"]) for i in self.indexes()]
        if here:
            near = difflib.get_close_matches(name, here, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            return f"namespace {self.namespace} has no {KIND} {name}{meant} (there is: {_listed(here)})"
        return f"{self._none()}{self._elsewhere(name)}"

    def _none(self) -> str:
        missing = ""
        try:
            self._core("read_namespace", self.namespace)
        except client.ApiException as error:
            missing = " (there is no such namespace)" if error.status == 404 else ""
        except HTTPError as error:
            raise silence(error) from error
        return f"namespace {self.namespace} has no {KIND}{missing}"

    def _elsewhere(self, name: str) -> str:
        """Where an index of that name is; a hint only, so that no right to look there is fine."""
        try:
            found = [i["metadata"] for i in self.indexes(everywhere=True)]
        except Unreadable:
            return ""
        same = [str(m["namespace"]) for m in found if m["name"] == name]
        if same:
            return f"; one of that name is in {_listed(same)}, try -n {same[0]}"
        places = sorted({f"{m['namespace']}/{m['name']}" for m in found})
        return f"; elsewhere: {_listed(places)}" if places else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_FEW])
    return f"{shown} and {len(names) - _FEW} more" if len(names) > _FEW else shown


def told(index: Mapping[str, Any]) -> str:
    """namespace/name."""
    return f"{index['metadata']['namespace']}/{index['metadata']['name']}"

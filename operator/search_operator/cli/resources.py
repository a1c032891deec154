"""Where the command line gets resources from: YAML files, and the API server that a kubeconfig names."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from search_operator.api.index import GROUP, KIND, PLURAL, VERSION

Object = dict[str, Any]
TIMEOUT_SECONDS = 15


class Unreadable(Exception):
    """A file or a cluster that can't be read; the message says what and why."""


def indexes_in(stream: io.TextIOBase, name: str, namespace: str) -> list[Object]:
    """Every SemanticSearchIndex of a YAML stream, also inside of lists; `namespace` stands in where none is written.

    Raises Unreadable for what is no YAML, and when there is none.
    """
    try:
        documents = [document for document in yaml.safe_load_all(stream) if isinstance(document, dict)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Unreadable(f"{name} is no YAML: {error}") from error
    items = [
        i for d in documents for i in (d.get("items", ()) if d.get("kind", "").endswith("List") else [d])
    ]
    found = [item for item in items if item.get("kind") == KIND]
    if not found:
        raise Unreadable(f"{name} holds no {KIND}")
    return [
        {**item, "metadata": {**item.get("metadata", {}), "namespace": namespace_of(item, namespace)}}
        for item in found
    ]


def namespace_of(item: Mapping[str, Any], otherwise: str) -> str:
    """The namespace that a resource names, else the one that stands in."""
    return str(item.get("metadata", {}).get("namespace") or otherwise)


@dataclass
class Cluster:
    """The API server. Reads, and asks what it would say to a write; never writes."""

    api: client.CustomObjectsApi
    namespace: str

    @classmethod
    def open(cls, kubeconfig: str | None, context: str | None) -> "Cluster":
        """By the kubeconfig (KUBECONFIG, ~/.kube/config) or, inside a pod, its service account.

        Raises Unreadable when there is neither.
        """
        try:
            contexts, active = config.list_kube_config_contexts(kubeconfig)
            named = next((c for c in contexts if c["name"] == context), None) if context else active
            if context and named is None:
                known = ", ".join(sorted(c["name"] for c in contexts)) or "none"
                raise Unreadable(f"the kubeconfig has no context {context}; it has: {known}")
            made = config.new_client_from_config(kubeconfig, context, client_configuration=_no_retries())
            namespace = (named or {}).get("context", {}).get("namespace", "default")
        except (config.ConfigException, OSError, yaml.YAMLError) as error:
            if kubeconfig or context:
                raise Unreadable(f"the kubeconfig can't be used: {_one_line(error)}") from error
            made, namespace = cls._in_cluster(error), "default"
        return cls(client.CustomObjectsApi(made), namespace)

    @staticmethod
    def _in_cluster(error: Exception) -> client.ApiClient:
        configuration = _no_retries()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            hint = "give a kubeconfig, or for a plan --current with the present resource"
            raise Unreadable(f"no cluster to ask ({_one_line(error)}); {hint}") from error
        return client.ApiClient(configuration)

    def get(self, namespace: str, name: str) -> Object | None:
        """The live index, None when there is none. Raises Unreadable when the API server can't be asked."""
        try:
            live: Object = self.api.get_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name, _request_timeout=TIMEOUT_SECONDS
            )
        except client.ApiException as error:
            if error.status == 404 and not lacks_kind(error):
                return None
            raise refusal(error) from error
        except HTTPError as error:
            raise silence(error) from error
        return live

    def refusals(self, new: Object, live: Object | None) -> tuple[list[str], str]:
        """(what the API server says against `new`, why it could not be asked); both empty when it takes it.

        `new` is taken as the whole spec, as `kubectl replace` does, in a dry run: nothing is stored.
        """
        namespace, name = new["metadata"]["namespace"], new["metadata"]["name"]
        place = (GROUP, VERSION, namespace, PLURAL)
        asked = {"dry_run": "All", "field_validation": "Strict", "_request_timeout": TIMEOUT_SECONDS}
        try:
            if live is None:
                self.api.create_namespaced_custom_object(*place, new, **asked)
            else:
                # A patch, which the operator's own account may do: `plan` runs in its pod too.
                spec = [{"op": "replace", "path": "/spec", "value": new.get("spec", {})}]
                self.api.patch_namespaced_custom_object(
                    *place, name, spec, **asked, _content_type="application/json-patch+json"
                )
        except client.ApiException as error:
            if error.status in (400, 422):
                return _causes(error), ""
            return [], _said(error)
        except HTTPError as error:
            return [], str(error)
        return [], ""


def lacks_kind(error: client.ApiException) -> bool:
    """Whether the API server does not know the kind, rather than the object of that name."""
    return error.status == 404 and not (_status(error).get("details") or {}).get("name")


def refusal(error: client.ApiException) -> Unreadable:
    """What the API server said, in one line and with what to do."""
    if lacks_kind(error):
        return Unreadable(
            f"the cluster does not know {KIND}: install the operator, or choose another --context"
        )
    if error.status == 401:
        return Unreadable("the API server does not know you (401): log in again, or choose another --context")
    said = _one_line(_said(error))
    if error.status == 403:
        return Unreadable(f"{said}; ask for a Role that allows it, or choose another --namespace")
    return Unreadable(said)


def silence(error: HTTPError) -> Unreadable:
    """An API server that can't be reached, in one line."""
    return Unreadable(f"the API server does not answer: {_one_line(error)}; choose another --context?")


def _no_retries() -> client.Configuration:
    """A person is waiting: once is enough, and urllib3 would warn about each attempt."""
    configuration = client.Configuration()
    configuration.retries = False
    return configuration


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def _causes(error: client.ApiException) -> list[str]:
    status = _status(error)
    causes = status.get("details", {}).get("causes", ())
    said = [f"{cause.get('field', '')}: {cause.get('message', '')}" for cause in causes]
    return said or [str(status.get("message", error.reason))]


def _said(error: client.ApiException) -> str:
    return str(_status(error).get("message", error.reason))


def _status(error: client.ApiException) -> Object:
    try:
        status = yaml.safe_load(error.body or "")
    except yaml.YAMLError:
        status = None
    return status if isinstance(status, dict) else {}

"""The way in from outside: an Ingress or an HTTPRoute to the gateway's Service, and only to what people may ask."""

from search_operator.api.entry import HttpRouteEntry, IngressEntry
from search_operator.api.index import SemanticSearchIndex
from search_operator.render.child import Object, child
from search_operator.render.gateway import gateway_name

INGRESS = "Ingress"
HTTP_ROUTE = "HTTPRoute"
# The page with its files, the search and the clicks; /metrics, /release and the probes stay inside.
EXACT_PATHS = ("/", "/search", "/click")
PREFIX_PATHS = ("/page",)


def entry_name(index: str) -> str:
    """Name of the Ingress or HTTPRoute."""
    return f"{index}-entry"


def entry_key(index: SemanticSearchIndex) -> tuple[str, str] | None:
    """(kind, name) of the object that the spec asks for; None for no entry."""
    entry = index.spec.search.entry
    if entry is None:
        return None
    return (INGRESS if entry.ingress else HTTP_ROUTE), entry_name(index.name)


def entry_objects(index: SemanticSearchIndex) -> list[Object]:
    """The Ingress or HTTPRoute, where the spec asks for one."""
    entry, name = index.spec.search.entry, entry_name(index.name)
    if entry and entry.ingress:
        body = _ingress(entry.ingress, gateway_name(index.name))
        return [child(index, "networking.k8s.io/v1", INGRESS, name, "gateway", body)]
    if entry and entry.http_route:
        body = _http_route(entry.http_route, gateway_name(index.name))
        return [child(index, "gateway.networking.k8s.io/v1", HTTP_ROUTE, name, "gateway", body)]
    return []


def _ingress(entry: IngressEntry, service: str) -> Object:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    paths = [{"path": path, "pathType": kind, "backend": backend} for path, kind in _paths("Prefix")]
    tls = [{"hosts": [entry.host], "secretName": entry.tls_secret_name}] if entry.tls_secret_name else []
    rules = [{"host": entry.host, "http": {"paths": paths}}]
    spec = {"ingressClassName": entry.class_name, "rules": rules, "tls": tls}
    return {"metadata": {"annotations": dict(entry.annotations)}, "spec": spec}


def _http_route(entry: HttpRouteEntry, service: str) -> Object:
    parents = [parent.model_dump(by_alias=True, exclude_none=True) for parent in entry.parent_refs]
    matches = [{"path": {"type": kind, "value": path}} for path, kind in _paths("PathPrefix")]
    rule = {"matches": matches, "backendRefs": [{"name": service, "port": 80}]}
    return {"spec": {"parentRefs": parents, "hostnames": list(entry.hostnames), "rules": [rule]}}


def _paths(prefix: str) -> list[tuple[str, str]]:
    return [*((path, "Exact") for path in EXACT_PATHS), *((path, prefix) for path in PREFIX_PATHS)]

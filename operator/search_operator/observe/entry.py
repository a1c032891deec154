"""The Ingress or HTTPRoute that an index asks for, as it lies in the cluster."""

from collections.abc import Mapping

from kubernetes.aio.dynamic.exceptions import DynamicApiError

from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import HTTP_ROUTE, KubernetesApi, kind_named
from search_operator.observe.cache import Cache, index_of
from search_operator.observe.observation import ChildKey, EntryView, Object, Problem
from search_operator.render.entry import entry_key

NOT_SERVED = Problem(
    "NotServed",
    "the cluster serves no HTTPRoute (gateway.networking.k8s.io/v1); install the Gateway API with a controller, "
    "or ask for search.entry.ingress. Inside the cluster the Service answers all the same",
    needs_a_person=False,
)


async def look_at_entry(api: KubernetesApi, cache: Cache, index: SemanticSearchIndex) -> EntryView:
    """Asked of the API server itself: a route is not watched, and somebody else's object is in no cache of ours."""
    wanted, key = entry_key(index), (index.namespace, index.name)
    if wanted is None or index.being_deleted:
        return EntryView()
    kind, cached = kind_named(wanted[0]), cache.children(key).get(wanted)
    if kind is not HTTP_ROUTE and cached is not None:
        return EntryView(cached)
    try:
        if kind is HTTP_ROUTE and not await api.serves(kind):
            return EntryView(problem=NOT_SERVED)
        live = await api.get(kind, index.namespace, wanted[1])
    except DynamicApiError as error:
        if error.status != 403:
            raise
        message = f"the operator may not read {kind.plural}: {error.summary()}; apply its ClusterRole of this version"
        return EntryView(problem=Problem("Forbidden", message, needs_a_person=False))
    if cached is not None and live is None:
        cache.drop(cached)
    if live is not None and index_of(live) == key:
        cache.put(live)
    return EntryView(live)


def with_entry(
    children: Mapping[ChildKey, Object], index: SemanticSearchIndex, entry: EntryView
) -> dict[ChildKey, Object]:
    """The children with the entry as it was just seen, in place of what was known of it."""
    wanted = entry_key(index)
    others = {key: child for key, child in children.items() if key != wanted}
    return {**others, wanted: entry.live} if wanted and entry.live is not None else others

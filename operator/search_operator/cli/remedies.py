"""What to do about a condition's reason, and the page that says more. A test compares with docs/operations.md."""

from dataclasses import dataclass

_OPERATIONS = "docs/operations.md"
CONDITIONS_PAGE = f"{_OPERATIONS}#what-a-condition-says-and-what-to-do"
RELEASES_PAGE = f"{_OPERATIONS}#a-release-on-its-way"
DELETION_PAGE = f"{_OPERATIONS}#deleting-an-index"
ROLLBACK_PAGE = f"{_OPERATIONS}#going-back-now"
OPERATORS_PAGE = f"{_OPERATIONS}#two-operators"
GUARD_PAGE = "docs/cost.md#the-guard"
PRICES_PAGE = "docs/cost.md#prices"
SCALING_PAGE = "docs/autoscaling.md"


@dataclass(frozen=True)
class Remedy:
    """`do` is an order to a person; empty where it goes by itself, or where the condition's message has it."""

    do: str
    page: str = CONDITIONS_PAGE


_STORE_DOWN = "see that it runs and can be reached from the cluster at that endpoint; it heals by itself then"
_UNAUTHORIZED = "put right the credentials in the Secret that the spec names"
_IMAGE = "put right the image's name, or the nodes' access to its registry"
_ROOM = "add what is lacking, or lower encoder.autoscaling or milvus.replicas, or set rollout.capacityCheck to Warn"

_BY_REASON = {
    "Starting": Remedy(""),
    "Unschedulable": Remedy(
        "add nodes with a free GPU and the label asked for, or lower encoder.autoscaling.minReplicas"
    ),
    "ImagePullBackOff": Remedy(_IMAGE),
    "ErrImagePull": Remedy(_IMAGE),
    "ErrImageNeverPull": Remedy(_IMAGE),
    "InvalidImageName": Remedy(_IMAGE),
    "CrashLoopBackOff": Remedy("read the log's last line: kubectl logs {pod} --previous"),
    "SecretMissing": Remedy("create the Secret with the keys that the message names"),
    "SecretIncomplete": Remedy("add the keys that the message names to the Secret"),
    "Unreachable": Remedy(_STORE_DOWN),
    "Unauthorized": Remedy(_UNAUTHORIZED),
    "NotEnoughQueryNodes": Remedy("add query nodes to Milvus, or lower vectorStore.milvus.replicas"),
    "DatabaseNotFound": Remedy("create the database in Milvus, or put right vectorStore.milvus.database"),
    "CollectionGone": Remedy(""),
    "ReplicaMissing": Remedy("bring Milvus' query node back; the other replicas answer meanwhile"),
    "Creating": Remedy(""),
    "Loading": Remedy(""),
    "IndexNotFound": Remedy("create the index in Elasticsearch, or put right catalogue.elasticsearch.index"),
    "CatalogueEmpty": Remedy("load the catalogue into Elasticsearch"),
    "FilterRefused": Remedy("put right catalogue.elasticsearch.filter"),
    "NoActiveRelease": Remedy("", RELEASES_PAGE),
    "GatewayNotReady": Remedy("ask a gateway pod's /readyz which dependency does not answer"),
    "Degraded": Remedy(
        "see to the part that the message names; the breaker closes by itself once it is sound"
    ),
    "PolicyRefused": Remedy(
        "put right in spec.search what the message quotes, or let the gateways' roll-out end"
    ),
    "NotServed": Remedy("install the Gateway API with a controller, or ask for search.entry.ingress"),
    "NoAddress": Remedy("see that a controller of the Ingress' class runs"),
    "WaitingForController": Remedy("see that the Gateway and its listener are there"),
    "NotAllowedByListeners": Remedy("let the index's namespace in by the listener's allowedRoutes"),
    "NameTaken": Remedy("rename or remove the object that has the name"),
    "Forbidden": Remedy("apply the operator's ClusterRole of this version"),
    "InflightTokens": Remedy("", SCALING_PAGE),
    "CPU": Remedy("", SCALING_PAGE),
    "KEDA": Remedy("", SCALING_PAGE),
    "TwoScalers": Remedy("remove the other autoscaler: kubectl get hpa -n {namespace}", SCALING_PAGE),
    "CannotScale": Remedy(
        "put right what keeps the HPA from the Deployment, as the message says", SCALING_PAGE
    ),
    "MetricsMissing": Remedy("see that the metric is served: kubectl get apiservice", SCALING_PAGE),
    "QuotaExceeded": Remedy("raise the namespace's ResourceQuota, or lower maxReplicas", SCALING_PAGE),
    "PodsRefused": Remedy("remove what refuses the pods, as the message says", SCALING_PAGE),
    "NoDevices": Remedy("add nodes with free devices, or lower maxReplicas", SCALING_PAGE),
    "PausedByKeda": Remedy("remove the annotation that the message names", SCALING_PAGE),
    "Changing": Remedy("", SCALING_PAGE),
    "Projected": Remedy("", GUARD_PAGE),
    "Clamped": Remedy("raise cost.monthlyCap to get back what the message names", GUARD_PAGE),
    "AboveMinimum": Remedy("raise cost.monthlyCap, or lower encoder.autoscaling.minReplicas", GUARD_PAGE),
    "Alerting": Remedy("raise cost.monthlyCap, or set cost.action to Clamp", GUARD_PAGE),
    "PricesUnreadable": Remedy("put right the ConfigMap of cost.pricesConfigMapRef", PRICES_PAGE),
    "NoPrices": Remedy("give cost.prices to see the bill", PRICES_PAGE),
    "GatesPending": Remedy("", RELEASES_PAGE),
    "InsufficientEncoders": Remedy(_ROOM, RELEASES_PAGE),
    "InsufficientDevices": Remedy(_ROOM, RELEASES_PAGE),
    "InsufficientMemory": Remedy(_ROOM, RELEASES_PAGE),
    "GatesFailed": Remedy("compare the failed gates' values with their thresholds", RELEASES_PAGE),
    "AwaitingApproval": Remedy("kubectl ssi promote {name} -n {namespace}", RELEASES_PAGE),
    "GatesPassed": Remedy("", RELEASES_PAGE),
    "GoingBack": Remedy("", ROLLBACK_PAGE),
    "ReleaseFailed": Remedy(
        "put right the spec, or have it tried again: kubectl ssi refresh {name} -n {namespace}", RELEASES_PAGE
    ),
    "RollbackTargetUnknown": Remedy("kubectl ssi rollback {name} -n {namespace} --clear", ROLLBACK_PAGE),
    "HeldByRollback": Remedy(
        "put right the spec, then: kubectl ssi rollback {name} -n {namespace} --clear", ROLLBACK_PAGE
    ),
    "DeletionBlocked": Remedy("bring Milvus back, or set deletionPolicy to Retain", DELETION_PAGE),
    "InvalidSpec": Remedy("put right the field that the message names, or install the version it is for"),
    "PausedBySpec": Remedy("kubectl ssi resume {name} -n {namespace}"),
}
_BY_TYPE = {"Autoscaling": SCALING_PAGE, "WithinBudget": GUARD_PAGE, "Promotable": RELEASES_PAGE}


def remedy_of(kind: str, reason: str, *, name: str = "", namespace: str = "", pod: str = "") -> Remedy:
    """The remedy of a condition's reason; one that is not known here has it in its own message."""
    found = _BY_REASON.get(reason, Remedy("", _BY_TYPE.get(kind, CONDITIONS_PAGE)))
    filled = found.do.format(name=name, namespace=namespace, pod=pod or "the pod")
    return Remedy(filled, found.page)


def is_known(reason: str) -> bool:
    """Whether there is a remedy of its own for that reason."""
    return reason in _BY_REASON

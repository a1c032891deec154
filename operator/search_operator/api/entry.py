"""How queries come in from outside of the cluster: an Ingress or a route of the Gateway API."""

from typing import Annotated

from pydantic import Field

from search_operator.api.schema import ApiModel, Cel, atomic, rules
from search_operator.api.values import FULL_WIDTH, HALF_WIDTH, ObjectName

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    HALF_WIDTH,
    Cel(
        f"self.matches('{FULL_WIDTH}') || "
        f"self.matches(r'^([*][.])?{_LABEL}([.]{_LABEL})*[.][a-z]([a-z0-9-]{{0,61}}[a-z0-9])?$')",
        "must be a host name of small letters without scheme, port or path, e.g. search.example.com",
    ),
]
"""A host's name; its first label may be *."""
LabelName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Cel(
        "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",
        "must be the name of an object: small letters, digits, dots and dashes, e.g. nginx",
    ),
]


class IngressEntry(ApiModel):
    """An Ingress, which a controller of its class serves."""

    host: Hostname
    """The name that people ask for."""
    class_name: LabelName | None = None
    """IngressClass; by default the cluster's own default class."""
    tls_secret_name: ObjectName | None = None
    """Secret with the certificate, kubernetes.io/tls; absent means plain HTTP."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]],
        Field(max_length=32),
        Cel(
            "self.all(k, !k.startsWith('semanticsearch.io/') && !k.startsWith('kubectl.kubernetes.io/')"
            " && !k.endsWith('-snippet') && !k.endsWith('-snippets'))",
            "may not hold annotations of semanticsearch.io or kubectl, nor snippets of a controller's configuration; "
            "put those into an Ingress of your own",
        ),
    ] = Field(default={})
    """Annotations for its controller, e.g. of cert-manager."""


class ParentRef(ApiModel):
    """A Gateway that the route hangs on."""

    name: LabelName
    """Name of the Gateway."""
    namespace: (
        Annotated[
            str,
            Field(min_length=1, max_length=63),
            Cel(
                "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
                "must be a namespace's name: small letters, digits and dashes, e.g. gateways",
            ),
        ]
        | None
    ) = None
    """Its namespace, which must let routes of this one in; by default the index's own."""
    section_name: LabelName | None = None
    """Listener of the Gateway; by default all that fit."""


class HttpRouteEntry(ApiModel):
    """An HTTPRoute of the Gateway API, gateway.networking.k8s.io/v1."""

    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16), atomic()] = ()
    """The names that people ask for; none means those of the listener."""
    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=16), atomic()]
    """Gateways that it hangs on."""


class Entry(ApiModel):
    """The way in; it leads to the page, /search and /click, and to nothing else of the gateway."""

    model_config = rules(
        Cel(
            "has(self.ingress) != has(self.httpRoute)",
            "entry needs exactly one of ingress and httpRoute",
        )
    )

    ingress: IngressEntry | None = None
    """By an Ingress."""
    http_route: HttpRouteEntry | None = None
    """By an HTTPRoute, where the cluster serves the Gateway API."""

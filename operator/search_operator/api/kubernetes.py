"""Pieces of Kubernetes' own API that the resource borrows: references, tolerations, resources."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.schema import ApiModel, Cel, Marker, rules
from search_operator.api.values import ObjectName


class ObjectRef(ApiModel):
    """An object of the same namespace."""

    name: ObjectName
    """Name of the object; it lies in the index's own namespace."""


class Toleration(ApiModel):
    """A taint that the encoder pods tolerate, as in a pod."""

    model_config = rules(
        Cel(
            "self.operator != 'Exists' || !has(self.value)",
            "a toleration with operator Exists has no value; remove value or write operator: Equal",
            ".value",
        ),
        Cel(
            "self.operator == 'Exists' || has(self.key)",
            "a toleration with operator Equal needs a key; add key or write operator: Exists",
            ".key",
        ),
    )

    key: Annotated[str, Field(max_length=316)] | None = None
    """Taint key; absent with operator Exists means every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Exists, or Equal to value."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Taint value for operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; absent means every effect."""


Quantity = Annotated[
    int | str,
    Marker({"x-kubernetes-int-or-string": True, "maxLength": 32}),
    Cel(
        "type(self) == int ? int(self) >= 0"
        " : isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",
        "must be a Kubernetes quantity, e.g. 500m or 2 for cpu, 512Mi or 4Gi for memory",
    ),
]
ResourceList = Annotated[
    dict[str, Quantity],
    Field(max_length=3),
    Cel(
        "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])",
        "may name cpu, memory and ephemeral-storage; GPUs are counted by encoder.accelerator",
    ),
]


def _request_within_limit(name: str) -> Cel:
    request, limit = (f"string(self.{side}['{name}'])" for side in ("requests", "limits"))
    # What is no quantity has a rule of its own.
    return Cel(
        f"!('{name}' in self.requests) || !('{name}' in self.limits)"
        f" || !isQuantity({request}) || !isQuantity({limit})"
        f" || !quantity({request}).isGreaterThan(quantity({limit}))",
        f"requests.{name} is above limits.{name}; raise the limit or lower the request",
        ".requests",
    )


class Resources(ApiModel):
    """What a container asks for and may use at most, as in a pod; what is given replaces the default."""

    model_config = rules(_request_within_limit("cpu"), _request_within_limit("memory"))

    requests: ResourceList = Field(default={})
    """What the scheduler reserves."""
    limits: ResourceList = Field(default={})
    """What the container may use at most."""

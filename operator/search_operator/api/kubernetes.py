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
        "type(self) == int ? int(self) >= 0 : isQuantity(string(self)) && quantity(string(self)).sign() >= 0",
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


class Resources(ApiModel):
    """What a container asks for and may use at most, as in a pod. A list that is given replaces its default whole."""

    model_config = rules(
        *(
            Cel(
                f"!('{name}' in self.requests) || !('{name}' in self.limits)"
                f" || !isQuantity(string(self.requests['{name}'])) || !isQuantity(string(self.limits['{name}']))"
                f" || quantity(string(self.requests['{name}'])).compareTo(quantity(string(self.limits['{name}']))) <= 0",
                f"requests.{name} is above limits.{name}; raise the limit or lower the request",
                ".requests",
            )
            for name in ("cpu", "memory")
        )
    )

    requests: ResourceList = {}
    """What the scheduler reserves."""
    limits: ResourceList = {}
    """What the container may use at most."""

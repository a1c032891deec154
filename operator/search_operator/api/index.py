"""One SemanticSearchIndex as the operator reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from search_operator.api.spec import Spec

GROUP = "semanticsearch.io"
VERSION = "v1alpha1"
KIND = "SemanticSearchIndex"
PLURAL = "semanticsearchindexes"
SINGULAR = "semanticsearchindex"
SHORT_NAME = "ssi"


class InvalidResource(ValueError):
    """A resource that this version cannot read, though the API server let it in (an older or newer CRD)."""


@dataclass(frozen=True)
class SemanticSearchIndex:
    """Identity, spec and last written status of one index.

    `status` is the raw object, so that an older operator's status never stops a newer one.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    spec: Spec
    resource_version: str = ""
    deletion_timestamp: datetime | None = None
    created_at: datetime | None = None
    finalizers: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    status: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def being_deleted(self) -> bool:
        """Whether someone has deleted it, and finalizers hold it."""
        return self.deletion_timestamp is not None

    @property
    def active_release(self) -> str:
        """The release that the last status called active; empty when there is none."""
        return str(self.status.get("activeRelease") or "")

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> "SemanticSearchIndex":
        """The index in a JSON object of the API. Raises InvalidResource with one line per bad field."""
        metadata = obj.get("metadata", {})
        deleted, created = metadata.get("deletionTimestamp"), metadata.get("creationTimestamp")
        try:
            spec = Spec.model_validate(obj.get("spec", {}))
        except ValidationError as error:
            lines = (
                ".".join(["spec", *map(str, problem["loc"])]) + ": " + problem["msg"]
                for problem in error.errors(include_url=False)
            )
            raise InvalidResource("; ".join(lines)) from error
        return cls(
            name=metadata.get("name", ""),
            namespace=metadata.get("namespace", ""),
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            spec=spec,
            resource_version=metadata.get("resourceVersion", ""),
            deletion_timestamp=datetime.fromisoformat(deleted) if deleted else None,
            created_at=datetime.fromisoformat(created) if created else None,
            finalizers=tuple(metadata.get("finalizers", ())),
            annotations=MappingProxyType(dict(metadata.get("annotations") or {})),
            status=MappingProxyType(dict(obj.get("status") or {})),
        )

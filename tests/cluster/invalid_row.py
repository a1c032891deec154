"""One row of the tables of resources that the API server must refuse."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Invalid:
    """`change` is a merge patch on the valid base; the error names `path` and says `says`."""

    id: str
    change: dict[str, Any] = field(hash=False)
    path: str
    says: str

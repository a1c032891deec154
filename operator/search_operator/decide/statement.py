"""What a condition says, before it gets its times."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Statement:
    """A condition before it gets its times: type, status, reason, message; `stalls` when a person must act."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    stalls: bool = False

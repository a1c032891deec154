"""The two ways in which a query gets no answer: it is bad, or something that it needs is away."""

from typing import Literal

Dependency = Literal["release", "encoder", "milvus", "elasticsearch", "semantic", "gateway"]


class BadQuery(ValueError):
    """The caller's mistake (400). `field` is the parameter, the message says what to send instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Unavailable(RuntimeError):
    """A dependency did not answer as it must (503).

    `reason` is a short word for metrics (`timeout`, `fingerprint`, ...). The message is shown to
    callers: it never holds an address, credentials or a library's own text. `retry_after` is in seconds.
    """

    def __init__(self, dependency: Dependency, reason: str, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.dependency = dependency
        self.reason = reason
        self.retry_after = retry_after


class BreakerOpen(Unavailable):
    """A dependency was not asked, for its breaker is open.

    `lasting` is False for a passing blip: a query that was kept from asking says nothing of the release then.
    """

    def __init__(self, dependency: Dependency, message: str, retry_after: int, lasting: bool) -> None:
        super().__init__(dependency, "open", message, retry_after)
        self.lasting = lasting


def turned_away(fault: Unavailable) -> bool:
    """Whether a breaker kept a query from asking for a passing blip's sake: that says nothing of the release."""
    return isinstance(fault, BreakerOpen) and not fault.lasting

"""The connection to Milvus: a deadline on every call, credentials re-read when they are refused."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from pymilvus import MilvusClient, MilvusException

from search_plane.release.record import MilvusTarget
from search_plane.stores.credentials import read_credential

T = TypeVar("T")

# What a call can raise: pymilvus lets some gRPC errors through as they are.
MILVUS_ERRORS = (MilvusException, grpc.RpcError)

# merr codes of Milvus 2.3+: ErrCollectionNotFound, ErrPrivilegeNotAuthenticated, ErrPrivilegeNotPermitted.
_COLLECTION_NOT_FOUND = 100
_AUTH_CODES = (1400, 1401)
_AUTH_STATUS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

# pymilvus writes a stack trace for every failed call, also for those that the caller handles.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)


class MilvusConnection:
    """A lazily opened client of one Milvus database. Safe to share between threads.

    pymilvus waits for ever where its `timeout` is None, so `call` hands the work the deadline to pass on.
    """

    def __init__(self, target: MilvusTarget, timeout: float = 10.0) -> None:
        """`timeout`: seconds for connecting and, unless a call says otherwise, for each request."""
        self.target = target
        self.timeout = timeout
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, work: Callable[[Any, float], T], within: float | None = None) -> T:
        """`work(client, timeout)`; run once more with credentials read anew when Milvus refuses them.

        Raises one of MILVUS_ERRORS. `work` must pass the timeout (`within` seconds) to each request.
        """
        deadline = self.timeout if within is None else within
        try:
            return work(self._open(), deadline)
        except MILVUS_ERRORS as error:
            if not is_auth_failure(error):
                raise
        self.close()
        return work(self._open(), deadline)

    async def acall(self, work: Callable[[Any, float], T], within: float | None = None) -> T:
        """`call` in a thread."""
        return await asyncio.to_thread(self.call, work, within)

    def close(self) -> None:
        """Closes the channel; the next call opens another one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> Any:
        with self._lock:
            if self._client is None:
                folder = self.target.credentials_dir
                self._client = MilvusClient(
                    uri=self.target.uri,
                    user=read_credential(folder, "username"),
                    password=read_credential(folder, "password"),
                    token=read_credential(folder, "token"),
                    db_name=self.target.database,
                    timeout=self.timeout,
                    dedicated=True,
                )
            return self._client


def is_auth_failure(error: BaseException) -> bool:
    """Whether Milvus refused the credentials (also when pymilvus wrapped that in an error of its own)."""
    return any(
        (isinstance(cause, MilvusException) and cause.code in _AUTH_CODES)
        or (isinstance(cause, grpc.RpcError) and _status(cause) in _AUTH_STATUS)
        for cause in _causes(error)
    )


def is_missing_collection(error: BaseException) -> bool:
    """Whether the collection that was asked for does not exist."""
    return isinstance(error, MilvusException) and error.code == _COLLECTION_NOT_FOUND


def describe(error: BaseException) -> str:
    """One line about a failed call, fit for a status: no stack trace, no gRPC debug text."""
    if is_auth_failure(error):
        # What pymilvus says then is "server unavailable".
        return "the credentials are refused"
    if isinstance(error, MilvusException):
        return str(error.message).splitlines()[0][:300] if error.message else f"code {error.code}"
    if isinstance(error, grpc.RpcError):
        details = getattr(error, "details", None)
        return f"{_status(error)}: {details() if callable(details) else error}"[:300]
    return f"{type(error).__name__}: {error}"[:300]


def _status(error: grpc.RpcError) -> grpc.StatusCode | None:
    code = getattr(error, "code", None)
    return code() if callable(code) else None


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__
    return chain

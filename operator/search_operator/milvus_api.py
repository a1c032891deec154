"""Connections to Milvus for the operator: one per endpoint and credentials, a deadline on every call."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from pymilvus import MilvusClient
from search_plane.stores.milvus import MILVUS_ERRORS, describe, is_auth_failure

from search_operator.api.vector_store import Milvus
from search_operator.observe.credentials import StoreCredentials

T = TypeVar("T")

CALL_SECONDS = 5.0
KEPT_CLIENTS = 64
_THREADS = 16


class MilvusUnavailable(Exception):
    """Milvus did not do what was asked. `reason` is a condition's reason; `needs_a_person` says who can help."""

    def __init__(self, reason: str, message: str, *, needs_a_person: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.needs_a_person = needs_a_person


class MilvusPool:
    """Runs calls in threads: pymilvus' asynchronous client lacks half of the administration."""

    def __init__(self) -> None:
        self._clients: dict[int, Any] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="milvus")

    async def call(
        self,
        spec: Milvus,
        credentials: StoreCredentials,
        work: Callable[[Any], T],
        within: float = CALL_SECONDS,
    ) -> T:
        """`work(client)` in a thread. Raises MilvusUnavailable for anything that Milvus or the network refuses.

        `within` (seconds) bounds the wait, connecting apart; `work` bounds each request by `timeout=`.
        """
        key = hash((spec.uri, spec.database, tuple(sorted(credentials.milvus.items()))))
        loop = asyncio.get_running_loop()
        try:
            # pymilvus tries to connect for several times as long as it is told to.
            async with asyncio.timeout(CALL_SECONDS + 1):
                client = await loop.run_in_executor(self._threads, self._client, key, spec, credentials)
        except TimeoutError:
            raise _unreachable(spec, f"no connection in {CALL_SECONDS + 1:.0f} s") from None
        except MILVUS_ERRORS as error:
            raise self._explain(key, spec, error) from error
        try:
            async with asyncio.timeout(within + CALL_SECONDS):
                return await loop.run_in_executor(self._threads, work, client)
        except TimeoutError:
            self._forget(key)
            raise _unreachable(spec, f"no answer in {within + CALL_SECONDS:.0f} s") from None
        except MILVUS_ERRORS as error:
            raise self._explain(key, spec, error) from error

    def _client(self, key: int, spec: Milvus, credentials: StoreCredentials) -> Any:
        client = self._clients.get(key)
        if client is None:
            secret = credentials.milvus
            client = MilvusClient(
                uri=spec.uri,
                user=secret.get("username", ""),
                password=secret.get("password", ""),
                token=secret.get("token", ""),
                db_name=spec.database,
                timeout=CALL_SECONDS,
                dedicated=True,
            )
            if len(self._clients) >= KEPT_CLIENTS:
                self._clients.pop(next(iter(self._clients)), None)
            # Two threads may have connected at the same time; the first one's connection is kept.
            kept = self._clients.setdefault(key, client)
            if kept is not client:
                client.close()
                client = kept
        return client

    def _forget(self, key: int) -> None:
        if client := self._clients.pop(key, None):
            self._threads.submit(client.close)

    def _explain(self, key: int, spec: Milvus, error: Exception) -> MilvusUnavailable:
        text = describe(error)
        if is_auth_failure(error):
            self._forget(key)
            remedy = "check spec.vectorStore.milvus.credentialsSecretRef"
            return MilvusUnavailable(
                "Unauthorized", f"Milvus at {spec.uri} refuses us: {text}; {remedy}", needs_a_person=True
            )
        if (
            "nodes not enough" in text.lower()
            or "node not enough" in text.lower()
            or "no enough nodes" in text.lower()
        ):
            remedy = f"add query nodes, or lower spec.vectorStore.milvus.replicas from {spec.replicas}"
            message = f"Milvus has too few query nodes for {spec.replicas} replicas ({text}); {remedy}"
            return MilvusUnavailable("NotEnoughQueryNodes", message, needs_a_person=True)
        if "database not found" in text.lower():
            message = f"Milvus has no database {spec.database}; create it, or correct spec.vectorStore.milvus.database"
            return MilvusUnavailable("DatabaseNotFound", message, needs_a_person=True)
        if _is_connection_failure(error, text):
            self._forget(key)
            return _unreachable(spec, text)
        return MilvusUnavailable(
            "Refused", f"Milvus at {spec.uri}: {text}; it is tried again", needs_a_person=False
        )

    def close(self) -> None:
        """Closes every connection; calls in flight are abandoned."""
        for key in list(self._clients):
            self._forget(key)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _unreachable(spec: Milvus, detail: str) -> MilvusUnavailable:
    message = f"Milvus at {spec.uri} does not answer ({detail}); check its pods, Service and NetworkPolicies"
    return MilvusUnavailable("Unreachable", message, needs_a_person=False)


def _is_connection_failure(error: Exception, text: str) -> bool:
    if isinstance(error, grpc.RpcError):
        return True
    lowered = text.lower()
    return any(
        word in lowered
        for word in ("fail connecting", "failed to connect", "unavailable", "deadline", "timeout")
    )

"""Errors of the stores in one line that says what is wrong."""

import grpc
import pytest
from elastic_transport import ApiResponseMeta, ConnectionError, HttpHeaders, NodeConfig
from elasticsearch import NotFoundError
from pymilvus import MilvusException
from search_plane.stores import catalogue, milvus


class RefusedCall(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """A gRPC error as the channel raises it."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__()
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "details"


def wrapped(status: grpc.StatusCode) -> MilvusException:
    """What pymilvus makes of a failed connection: its own words around the cause."""
    try:
        try:
            raise RefusedCall(status)
        except grpc.RpcError as cause:
            raise MilvusException(2, "Fail connecting to server, server unavailable") from cause
    except MilvusException as error:
        return error


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (MilvusException(1400, "no"), True),
        (MilvusException(1401, "no"), True),
        (MilvusException(65535, "no"), False),
        (RefusedCall(grpc.StatusCode.UNAUTHENTICATED), True),
        (RefusedCall(grpc.StatusCode.UNAVAILABLE), False),
        (wrapped(grpc.StatusCode.UNAUTHENTICATED), True),
        (wrapped(grpc.StatusCode.UNAVAILABLE), False),
    ],
)
def test_refused_credentials_are_told_from_absence(error: Exception, refused: bool) -> None:
    assert milvus.is_auth_failure(error) is refused
    assert (milvus.describe(error) == "the credentials are refused") is refused


def test_only_a_missing_collection_is_missing() -> None:
    assert milvus.is_missing_collection(MilvusException(100, "collection not found"))
    assert not milvus.is_missing_collection(MilvusException(101, "collection not loaded"))
    assert not milvus.is_missing_collection(RefusedCall(grpc.StatusCode.UNAVAILABLE))


def test_a_long_error_becomes_one_line() -> None:
    assert milvus.describe(MilvusException(1, "first\nTraceback")) == "first"
    assert len(milvus.describe(MilvusException(1, "x" * 1000))) == 300
    assert milvus.describe(RefusedCall(grpc.StatusCode.UNAVAILABLE)) == "StatusCode.UNAVAILABLE: details"


def test_an_error_of_the_catalogue_says_more_than_that_there_was_one() -> None:
    node = NodeConfig("http", "localhost", 9200)
    meta = ApiResponseMeta(404, "1.1", HttpHeaders(), 0.0, node)
    assert (
        catalogue.describe(NotFoundError("index_not_found_exception", meta, {}))
        == "404 index_not_found_exception"
    )
    assert catalogue.describe(ConnectionError("refused at port 9")) == "ConnectionError: refused at port 9"

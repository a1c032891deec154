"""The collection of a release: which fields its rows have. Made by the operator, filled by jobs, read by gateways."""

from typing import Any

from pymilvus import DataType, MilvusClient

from search_plane.release.record import HASH_FIELD, ID_FIELD, MAX_ID_LENGTH, VECTOR_FIELD, ReleaseRecord
from search_plane.release.stored import IN_STOCK_FIELD, MAX_BYTES, PRICE_FIELD

HASH_LENGTH = 64


def collection_schema(record: ReleaseRecord) -> Any:
    """pymilvus' schema for a release's collection, with its record as the description."""
    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=record.to_description()
    )
    schema.add_field(ID_FIELD, DataType.VARCHAR, is_primary=True, max_length=MAX_ID_LENGTH)
    schema.add_field(VECTOR_FIELD, DataType.FLOAT_VECTOR, dim=record.encoder.dimension)
    schema.add_field(HASH_FIELD, DataType.VARCHAR, max_length=HASH_LENGTH)
    if record.stores_fields:
        for field, length in MAX_BYTES.items():
            schema.add_field(field, DataType.VARCHAR, max_length=length)
        schema.add_field(PRICE_FIELD, DataType.DOUBLE)
        schema.add_field(IN_STOCK_FIELD, DataType.BOOL)
    return schema

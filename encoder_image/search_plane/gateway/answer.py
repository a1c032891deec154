"""What the gateway answers: the types behind the JSON and the OpenAPI description."""

from typing import Literal

from pydantic import BaseModel, Field, JsonValue

Path = Literal["semantic", "keyword"]


class Hit(BaseModel):
    """One product. All but `id`, `score` and `rank` are the catalogue's own values at this moment."""

    id: str = Field(description="The product's id in the catalogue.")
    score: float = Field(
        description=(
            "Similarity by the release's metric (COSINE, IP: higher is nearer); "
            "on the path `keyword` Elasticsearch's score."
        )
    )
    rank: int = Field(description="1 for the nearest product that still exists.")
    title: JsonValue = None
    brand: JsonValue = None
    category: JsonValue = None
    price: JsonValue = None
    stock: JsonValue = None


class Timings(BaseModel):
    """Milliseconds that the query spent in each step, and in all."""

    embed: float
    vector: float
    keyword: float = 0.0
    join: float
    total: float


class Answer(BaseModel):
    """The answer to one query, wholly from one release."""

    query: str = Field(description="The query as it was understood: NFKC-normalised and trimmed.")
    release: str
    fingerprint: str = Field(description="The fingerprint of the encoder that made every vector involved.")
    path: Path = Field(
        default="semantic", description="`keyword` when only the query's words could be looked for."
    )
    degraded: list[str] = Field(
        description=(
            "What is missing: `catalogue` = Elasticsearch did not answer for all hits; "
            "`vectors` = Milvus may not have seen all rows, there may be nearer products; "
            "`semantic` = the encoder or Milvus did not answer, these products match the query's words."
        )
    )
    hits: list[Hit]
    total: int = Field(description="The number of hits in this answer.")
    dropped: int = Field(
        description="Products as near as these hits that the index still held and the catalogue no longer does."
    )
    timings_ms: Timings


class Problem(BaseModel):
    """Why there is no answer. `field` is the parameter at fault, or the part that is away."""

    error: str
    field: str


class Readiness(BaseModel):
    """Whether queries are welcome, and if not, what is waited for."""

    ready: bool
    release: str | None
    waiting_for: dict[str, str] = Field(description="Part -> what is wrong with it.")
    pending: str | None = Field(
        description="A newer release that is not used yet, its parts must answer first."
    )
    release_file: str | None = Field(description="What is wrong with the release file, if anything.")
    draining: bool


ANSWER_EXAMPLE = {
    "query": "便宜的蓝牙耳机",
    "release": "r-1a2b3c4d",
    "fingerprint": "sha256:9f2c6d0e0f0a4d0b8c7e6a5b4c3d2e1f00112233445566778899aabbccddeeff",
    "path": "semantic",
    "degraded": [],
    "hits": [
        {
            "id": "SKU-000042",
            "score": 0.7651,
            "rank": 1,
            "title": "高性价比无线蓝牙耳机 入耳式",
            "brand": "漫步者",
            "category": "数码/耳机",
            "price": 89.0,
            "stock": 120,
        }
    ],
    "total": 1,
    "dropped": 0,
    "timings_ms": {"embed": 4.1, "vector": 6.2, "keyword": 0.0, "join": 2.7, "total": 13.6},
}

"""What the gateway answers: the types behind the JSON and the OpenAPI description."""

from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue

from search_plane.release.policy import Mode

Path = Literal["semantic", "keyword", "fused", "stored"]


class Scores(BaseModel):
    """What each search made of a product; None where it did not find it, or was not asked."""

    semantic: float | None = Field(
        default=None, description="Similarity by the release's metric (COSINE, IP: higher is nearer)."
    )
    keyword: float | None = Field(default=None, description="Elasticsearch's score of the query's words.")
    fused: float | None = Field(
        default=None, description="Weighted reciprocal ranks of both, as a share: 1 is the first of both."
    )
    rerank: float | None = Field(default=None, description="The cross-encoder's score.")


class Hit(BaseModel):
    """One product. The fields after `scores` are the catalogue's own values at this moment, unless `stored`."""

    id: str = Field(description="The product's id in the catalogue.")
    score: float = Field(description="The score that the path orders by; see `scores`.")
    rank: int = Field(
        description="1 for the best product that still exists; the page begins at `offset` + 1."
    )
    scores: Scores = Scores()
    title: JsonValue = None
    brand: JsonValue = None
    category: JsonValue = None
    price: JsonValue = None
    stock: JsonValue = None
    stored: bool = Field(
        default=False,
        description="The catalogue did not answer: title, brand, category and price are as of the last refresh.",
    )
    highlight: str | None = Field(
        default=None,
        description=(
            "The title with the query's words between U+E000 and U+E001, where they were asked for and are there."
        ),
    )


class Timings(BaseModel):
    """Milliseconds that the query spent in each step, and in all. Steps run side by side; one from the cache is 0."""

    understand: float = 0.0
    embed: float = 0.0
    vector: float = 0.0
    keyword: float = 0.0
    join: float = 0.0
    rerank: float = 0.0
    total: float = 0.0


class Corrected(BaseModel):
    """A word that was taken for another."""

    written: str
    meant: str


class UnderstoodQuery(BaseModel):
    """What the query was taken to mean."""

    text: str = Field(default="", description="What was embedded and looked for: folded and corrected.")
    brands: list[str] = Field(default_factory=list, description="Brands of the catalogue that it names.")
    brand_certain: bool = Field(
        default=False, description="Only those brands are hits, or what their names say it fits."
    )
    whole: list[str] = Field(
        default_factory=list, description="Model numbers and measures, matched in one piece."
    )
    alternatives: list[list[str]] = Field(
        default_factory=list, description="Words with what means the same; the written word first."
    )
    excluded: list[str] = Field(default_factory=list, description="What the products must not be.")
    excluded_brands: list[str] = Field(default_factory=list, description="Brands that are not wanted.")
    price: Literal["low", "high"] | None = Field(default=None, description="What its price words prefer.")
    price_min: float | None = Field(default=None, description="A bound that the query says in numbers.")
    price_max: float | None = None
    corrections: list[Corrected] = Field(default_factory=list)


class FacetValue(BaseModel):
    """One value, and how many products that match the words have it."""

    value: JsonValue
    count: int


class PriceRange(BaseModel):
    """From `from` (included) to `to` (excluded); None is no end."""

    model_config = {"populate_by_name": True, "serialize_by_alias": True}

    from_: float | None = Field(default=None, alias="from")
    to: float | None = None
    count: int = 0


class Facets(BaseModel):
    """Counts over the products that match the words and the filters; each without the restriction on itself."""

    brand: list[FacetValue] = Field(default_factory=list)
    category: list[FacetValue] = Field(default_factory=list)
    price: list[PriceRange] = Field(default_factory=list)
    in_stock: int = 0


class Answer(BaseModel):
    """The answer to one query, wholly from one release."""

    search_id: str = Field(
        default="", description="Names this answer in logs and clicks; the request's `X-Request-Id`."
    )
    query: str = Field(description="The query: NFKC-normalised and trimmed.")
    understood: UnderstoodQuery = Field(default_factory=UnderstoodQuery)
    release: str
    fingerprint: str = Field(description="The fingerprint of the encoder that made every vector involved.")
    policy: str = Field(default="", description="The revision of the policy that it was answered by.")
    path: Path = Field(
        default="semantic",
        description=(
            "What the hits come from: `fused` = meaning and words; `semantic` or `keyword` = one of them, as it was"
            " asked for or because the other did not answer; `stored` = meaning, without the catalogue."
        ),
    )
    mode: Mode = Field(
        default="fused", description="What was wanted: by the caller, the experiment or the policy."
    )
    arm: Mode | None = Field(
        default=None, description="The experiment's arm that this user or session is in, where there is one."
    )
    reranked: bool = Field(
        default=False, description="Whether the first hits were ordered by a cross-encoder."
    )
    cached: bool = Field(
        default=False, description="Whether the order was found for an equal query some seconds ago."
    )
    degraded: list[str] = Field(
        description=(
            "What is missing: `semantic` = the encoder or Milvus did not answer, the hits match the query's words; "
            "`keyword` = Elasticsearch's search did not answer, or not from all shards; "
            "`catalogue` = Elasticsearch did not answer for all hits; "
            "`vectors` = Milvus may not have seen all rows, there may be nearer products; "
            "`understood` = while Elasticsearch is away nothing is known to fit what the query's words rule out, "
            "so that was left aside; "
            "`facets`, `highlight` = asked for, and could not be had."
        )
    )
    hits: list[Hit]
    total: int = Field(description="The number of hits in this answer.")
    offset: int = Field(default=0, description="Hits left out before the first.")
    total_words: int | None = Field(
        default=None,
        description="Products that match the words; 10000 means that or more. None when words were not looked for.",
    )
    facets: Facets | None = None
    dropped: int = Field(
        description="Products as good as these hits that the index still held and the catalogue no longer does."
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


_UNDERSTOOD_EXAMPLE: dict[str, Any] = {
    "text": "便宜的蓝牙耳机",
    "brands": [],
    "brand_certain": False,
    "whole": [],
    "alternatives": [["便宜", "实惠", "性价比高"]],
    "excluded": [],
    "excluded_brands": [],
    "price": "low",
    "price_min": None,
    "price_max": None,
    "corrections": [{"written": "蓝芽", "meant": "蓝牙"}],
}

ANSWER_EXAMPLE: dict[str, Any] = {
    "search_id": "5f2b6f0f3c1e4f0c9a51d1f6f2f0b7aa",
    "query": "便宜的蓝芽耳机",
    "understood": _UNDERSTOOD_EXAMPLE,
    "release": "r-1a2b3c4d",
    "fingerprint": "sha256:9f2c6d0e0f0a4d0b8c7e6a5b4c3d2e1f00112233445566778899aabbccddeeff",
    "policy": "0d1c2b3a49586776",
    "path": "fused",
    "mode": "fused",
    "arm": None,
    "reranked": False,
    "cached": False,
    "degraded": [],
    "hits": [
        {
            "id": "SKU-000042",
            "score": 0.9836,
            "rank": 1,
            "scores": {"semantic": 0.7651, "keyword": 14.2, "fused": 0.9836, "rerank": None},
            "title": "高性价比无线蓝牙耳机 入耳式",
            "brand": "漫步者",
            "category": "数码/耳机",
            "price": 89.0,
            "stock": 120,
            "stored": False,
            "highlight": "高性价比无线\ue000蓝牙耳机\ue001 入耳式",
        }
    ],
    "total": 1,
    "offset": 0,
    "total_words": 37,
    "facets": {
        "brand": [{"value": "漫步者", "count": 12}, {"value": "小米", "count": 9}],
        "category": [{"value": "数码/耳机", "count": 37}],
        "price": [{"from": None, "to": 50.0, "count": 4}, {"from": 50.0, "to": 100.0, "count": 21}],
        "in_stock": 33,
    },
    "dropped": 0,
    "timings_ms": {
        "understand": 0.1,
        "embed": 4.1,
        "vector": 6.2,
        "keyword": 7.5,
        "join": 2.7,
        "rerank": 0.0,
        "total": 13.9,
    },
}

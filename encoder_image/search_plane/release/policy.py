"""How queries are answered, apart from which release answers: the policy that gateways follow while they run."""

from typing import Final, Literal

import orjson
from pydantic import model_validator

from search_plane.release.identity import Frozen, canonical_sha256

POLICY_KEY: Final = "policy.json"

Mode = Literal["fused", "semantic", "keyword"]


class Fusion(Frozen):
    """Weights of the two searches in reciprocal-rank fusion; `mode` answers a query that names none."""

    mode: Mode = "fused"
    semantic_weight: float = 0.5
    keyword_weight: float = 0.5


class BreakerPolicy(Frozen):
    """Opens when the semantic search's p95 in the last `window_seconds` exceeds `latency_ms`."""

    latency_ms: float = 150.0
    window_seconds: float = 10.0


class RerankerPolicy(Frozen):
    """A cross-encoder at `url` orders the first `candidates` hits anew, of at most `max_share` of the queries.

    Of those that ask for it, and of `cohort_share` of the users unasked: always the same ones.
    """

    url: str = ""
    candidates: int = 100
    results: int = 10
    max_share: float = 0.05
    cohort_share: float = 0.0
    timeout_ms: float = 100.0


class ExperimentPolicy(Frozen):
    """A sticky A/B test: the share of users by arm; shares sum to 1. `name` is part of the hash of the user's key."""

    name: str = "default"
    arms: tuple[tuple[Mode, float], ...] = (("fused", 0.5), ("keyword", 0.5))

    @model_validator(mode="after")
    def _deals(self) -> "ExperimentPolicy":
        shares = [share for _, share in self.arms]
        if not shares or min(shares) < 0 or not 0 < sum(shares) < float("inf"):
            raise ValueError(f"experiment {self.name}: arms {self.arms}: expected shares that sum to 1")
        return self


class SearchPolicy(Frozen):
    """What policy.json holds. Without a `reranker` or an `experiment` there is none.

    `synonyms` are lines "a, b, c" of words that mean the same, or "a => b, c" for one direction.
    """

    fusion: Fusion = Fusion()
    synonyms: tuple[str, ...] = ()
    breaker: BreakerPolicy = BreakerPolicy()
    reranker: RerankerPolicy | None = None
    experiment: ExperimentPolicy | None = None

    def to_json(self) -> str:
        """Canonical JSON: the same policy is always the same text."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS).decode()

    def revision(self) -> str:
        """16 hex digits that tell this policy from another; caches and `/release` name it."""
        return canonical_sha256(self.model_dump())[:16]

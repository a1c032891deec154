"""Which arm of an experiment a user is in: always the same for the same key, whichever gateway answers. Pure."""

import hashlib
from dataclasses import dataclass

from search_plane.release.policy import ExperimentPolicy, Mode, RerankerPolicy

_WHOLE = 2**64
# Not an experiment's name: whether a user is in the re-ranker's cohort doesn't hang on the arm.
_COHORT = "\0re-ranker"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A user's arm of the experiment `experiment`; `share` is how much of the users that arm is meant to have."""

    experiment: str
    arm: Mode
    share: float


def arm_of(key: str, policy: ExperimentPolicy) -> Mode:
    """The arm of a user's or a session's key. Another name of the experiment deals the users anew."""
    return assigned(key, policy).arm


def assigned(key: str, policy: ExperimentPolicy) -> Assignment:
    """The arm and its share; shares that don't sum to 1 count in proportion."""
    whole = sum(share for _, share in policy.arms)
    place = _place(policy.name, key) * whole
    passed = 0.0
    for arm, share in policy.arms:
        passed += share
        if place < passed:
            return Assignment(policy.name, arm, share / whole)
    # The sum of floats may end a hair below the last place.
    arm, share = next(one for one in reversed(policy.arms) if one[1] > 0)
    return Assignment(policy.name, arm, share / whole)


def in_cohort(key: str, policy: RerankerPolicy) -> bool:
    """Whether this user's queries are re-ranked unasked: so of `cohort_share` of the users, always the same ones."""
    return _place(_COHORT, key) < policy.cohort_share


def _place(salt: str, key: str) -> float:
    """Evenly in [0, 1): the first 8 bytes of sha256 over both, kept apart so that ("ab", "c") is not ("a", "bc")."""
    digest = hashlib.sha256(f"{len(salt)}:{salt}{key}".encode("utf-8", "surrogatepass")).digest()
    # 53 bits, as many as a float keeps: else the largest would round up to 1.
    return (int.from_bytes(digest[:8]) >> 11 << 11) / _WHOLE

"""The policy in the mounted file: how queries are answered, apart from which release answers; changed while it runs."""

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from search_plane.gateway.experiment import assigned
from search_plane.release.policy import SearchPolicy
from search_plane.understanding.synonyms import Synonyms, synonyms_of

log = logging.getLogger(__name__)


class BadPolicy(ValueError):
    """A policy that can't be followed; the message says why in one line, without the file's values."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy in the form in which queries use it."""

    policy: SearchPolicy
    revision: str
    synonyms: Synonyms


def rules_of(policy: SearchPolicy) -> Rules:
    """Raises BadPolicy for a policy that contradicts itself."""
    fusion = policy.fusion
    if min(fusion.semantic_weight, fusion.keyword_weight) < 0 or not (
        0 < fusion.semantic_weight + fusion.keyword_weight < float("inf")
    ):
        raise BadPolicy(
            "fusion: the weights must be 0 or more, and not both 0:"
            f" {fusion.semantic_weight} and {fusion.keyword_weight}"
        )
    try:
        if policy.experiment is not None:
            assigned("", policy.experiment)
        return Rules(policy, policy.revision(), synonyms_of(policy.synonyms))
    except ValueError as error:
        raise BadPolicy(str(error)) from None


def parse_policy(content: bytes) -> Rules:
    """The rules in a policy file. Raises BadPolicy for anything but a whole and consistent one."""
    try:
        policy = SearchPolicy.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadPolicy(f"is no search policy: {where}: {first['msg']}") from None
    return rules_of(policy)


class PolicyFile:
    """Follows one policy file by its content. `latest` are the last good rules, at first those of SearchPolicy().

    Absent, empty or `{}` says nothing: the rules stay, and nothing is wrong. `error` is what is wrong with a bad file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest = rules_of(SearchPolicy())
        self.error: str | None = None
        self._content: bytes | None = None

    def refresh(self) -> bool:
        """Reads the file if its content changed. True when `latest` or `error` is new."""
        before = (self.latest.revision, self.error)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            self._content, self.error = None, None
        except OSError as error:
            self._content, self.error = None, f"can't be read: {error.strerror}"
        else:
            if content == self._content:
                return False
            self._content, self.error = content, None
            if content.strip() not in (b"", b"{}"):
                try:
                    self.latest = parse_policy(content)
                except BadPolicy as error:
                    self.error = str(error)
        changed = (self.latest.revision, self.error) != before
        if changed:
            kept = {"revision": self.latest.revision}
            if self.error is not None:
                log.warning("%s %s", self.path.name, self.error, extra=kept)
            else:
                log.info("policy in use", extra=kept)
        return changed

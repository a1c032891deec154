"""Rules at the resource's root: its name, and the few fields that no release can change once one is active."""

from dataclasses import dataclass

from search_operator.api.schema import Cel

MAX_NAME_LENGTH = 40

NAME_RULES = (
    Cel(
        f"size(self.metadata.name) <= {MAX_NAME_LENGTH}",
        f"metadata.name is longer than {MAX_NAME_LENGTH} characters, which leaves no room for what is "
        "named after it; choose a shorter one",
    ),
    Cel(
        "!self.metadata.name.contains('.')",
        "metadata.name must hold no dots, as Services are named after it; write dashes, e.g. products-cn",
    ),
    Cel(
        "!self.metadata.name.contains('--')",
        "metadata.name must hold no --, which divides names in Milvus; write a single dash",
    ),
)

_MILVUS = "spec.vectorStore.milvus"
_CATALOGUE = "spec.catalogue.elasticsearch"


@dataclass(frozen=True)
class Fixed:
    """A field that can't change while a release is active: its path below the root, why, and what to do instead.

    `always_there` tells whether the API server's defaults fill it in, so that CEL need not ask.
    """

    path: str
    always_there: bool
    remedy: str


_OTHER_MILVUS = "the release's collection is only there; create another index beside this one"
_OTHER_PRODUCTS = (
    "the release holds that catalogue's products; create another index, or name an alias before the first "
    "release, which Elasticsearch may move"
)

IMMUTABLE = (
    Fixed(f"{_MILVUS}.endpoint", False, _OTHER_MILVUS),
    Fixed(f"{_MILVUS}.database", True, _OTHER_MILVUS),
    Fixed(f"{_CATALOGUE}.index", True, _OTHER_PRODUCTS),
    Fixed(
        f"{_CATALOGUE}.fields.id",
        True,
        "the release's rows and its answers are told apart by it; create another index",
    ),
)

_ACTIVE = "has(oldSelf.status) && has(oldSelf.status.activeRelease) && oldSelf.status.activeRelease != ''"


def _immutable(fixed: Fixed) -> Cel:
    path, remedy = fixed.path, fixed.remedy
    return Cel(
        f"!({_ACTIVE}) || {_unchanged(path, fixed.always_there)}",
        f"{path} can't change while a release is active: {remedy}",
        f".{path}",
        f'"{path} can\'t change while release " + oldSelf.status.activeRelease + " is active: {remedy}"',
    )


def _unchanged(path: str, always_there: bool) -> str:
    same = f"self.{path} == oldSelf.{path}"
    if always_there:
        return same
    return f"(has(self.{path}) ? has(oldSelf.{path}) && {same} : !has(oldSelf.{path}))"


def root_rules() -> tuple[Cel, ...]:
    """All rules at the root of the resource."""
    return (*NAME_RULES, *(_immutable(fixed) for fixed in IMMUTABLE))

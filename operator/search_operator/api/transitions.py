"""Rules at the resource's root: its name, and the fields that are immutable once a release is active."""

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

# Path below the root, and whether the field is always there once the API server has filled in the defaults.
IMMUTABLE = (
    ("spec.encoder.model", True),
    ("spec.encoder.revision", True),
    ("spec.encoder.custom", False),
    ("spec.encoder.maxTokens", False),
    ("spec.encoder.precision", True),
    (f"{_MILVUS}.endpoint", False),
    (f"{_MILVUS}.database", True),
    (f"{_MILVUS}.shards", True),
    (f"{_MILVUS}.replicas", True),
    (f"{_MILVUS}.index", True),
    (f"{_CATALOGUE}.endpoint", False),
    (f"{_CATALOGUE}.index", True),
    (f"{_CATALOGUE}.fields.id", True),
    (f"{_CATALOGUE}.textTemplate", True),
)
WEIGHTS = "spec.encoder.weights"

_ACTIVE = "has(oldSelf.status) && has(oldSelf.status.activeRelease) && oldSelf.status.activeRelease != ''"


def _pin(root: str) -> str:
    """CEL for what pins the weights of `root`: their own digest, else that of their image."""
    weights = f"{root}.{WEIGHTS}"
    image = f"{weights}.image"
    return f"(has({weights}.sha256) ? {weights}.sha256 : {image}.substring({image}.indexOf('@') + 1))"


def _immutable(path: str, unchanged: str) -> Cel:
    advice = "switching releases is not served yet; create another index"
    return Cel(
        f"!({_ACTIVE}) || {unchanged}",
        f"{path} can't change while a release is active: {advice}",
        f".{path}",
        f'"{path} can\'t change while release " + oldSelf.status.activeRelease + " is active: {advice}"',
    )


def _unchanged(path: str, always_there: bool) -> str:
    same = f"self.{path} == oldSelf.{path}"
    if always_there:
        return same
    return f"(has(self.{path}) ? has(oldSelf.{path}) && {same} : !has(oldSelf.{path}))"


def root_rules() -> tuple[Cel, ...]:
    """All rules at the root of the resource."""
    return (
        *NAME_RULES,
        *(_immutable(path, _unchanged(path, always_there)) for path, always_there in IMMUTABLE),
        _immutable(WEIGHTS, f"{_pin('self')} == {_pin('oldSelf')}"),
    )

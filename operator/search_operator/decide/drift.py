"""Does a live object already hold what is desired? The answer that keeps a steady index free of writes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

APPLIED_HASH = "semanticsearch.io/applied"
# How server-side apply identifies items of the lists that we own (merge keys of the built-in types).
_MERGE_KEYS = ("name", "mountPath", "containerPort", "topologyKey")
_QUANTITY_PARENTS = frozenset({"requests", "limits", "sizeLimit", "averageValue", "storage"})


def covers(live: Any, desired: Any, parent: str = "") -> bool:
    """True when every desired value is in the live one; what others added beside it does not count."""
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            return False
        inside = parent if parent in _QUANTITY_PARENTS else ""
        return all(key in live and covers(live[key], value, inside or key) for key, value in desired.items())
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return isinstance(live, Sequence) and not isinstance(live, str) and _covers_list(live, desired)
    if parent in _QUANTITY_PARENTS:
        return _quantity(str(live)) == _quantity(str(desired))
    return bool(live == desired)


def _covers_list(live: Sequence[Any], desired: Sequence[Any]) -> bool:
    key = next(
        (k for k in _MERGE_KEYS if desired and all(isinstance(d, Mapping) and k in d for d in desired)), None
    )
    names = [_identity(item, key) for item in desired] if key else []
    # Several of one name, such as two listeners of one Gateway, are told apart by their places.
    if key is None or len(set(names)) < len(names):
        return len(live) == len(desired) and all(covers(a, b) for a, b in zip(live, desired, strict=True))
    by_key = {_identity(item, key): item for item in live if isinstance(item, Mapping)}
    found = ((by_key.get(_identity(item, key)), item) for item in desired)
    return all(mate is not None and covers(mate, item) for mate, item in found)


def _identity(item: Mapping[str, Any], key: str) -> tuple[Any, Any]:
    """A port is known by its number and its protocol together: 53/UDP is not 53/TCP."""
    return item.get(key), item.get("protocol", "TCP")


def _quantity(text: str) -> Decimal | str:
    try:
        return Decimal(parse_quantity(text))
    except ValueError:
        return text

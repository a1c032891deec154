"""Label selectors as they stand in a URL, e.g. `app=a,tier in (b,c),!d`."""

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
Selects = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<set_key>{_KEY})\s+(?P<set_word>in|notin)\s*\((?P<set>[^()]*)\)"
    rf"|(?P<key>{_KEY})\s*(?P<sign>==|!=|=)\s*(?P<value>{_VALUE})"
    rf"|(?P<present>{_KEY}))\s*(?:,(?=.)|$)"
)


def parsed(text: str) -> Selects:
    """Whether labels satisfy the selector; an empty one takes all. ValueError with the part that can't be read."""
    tests: list[Selects] = []
    position = 0
    while position < len(text):
        found = _REQUIREMENT.match(text, position)
        if found is None:
            raise ValueError(f"can't read the label selector {text!r} from {text[position:]!r} on")
        tests.append(_test(found))
        position = found.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(found: re.Match[str]) -> Selects:
    part = found.groupdict()
    if key := part["absent"]:
        return lambda labels: key not in labels
    if key := part["present"]:
        return lambda labels: key in labels
    if key := part["set_key"]:
        values = {value.strip() for value in part["set"].split(",")}
        within = part["set_word"] == "in"
    else:
        key, values, within = part["key"], {part["value"]}, part["sign"] != "!="
    # As in Kubernetes, an object without the label satisfies `!=` and `notin`.
    return lambda labels: (labels.get(key) in values) is within

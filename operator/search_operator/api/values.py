"""Values that people write as text, such as schedules, money and endpoints, with their rules."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from search_operator.api.schema import Cel

# CEL expands \u itself, so the CRD stays ASCII: full-width forms, the ideographic space and CJK punctuation.
FULL_WIDTH = r"[\uFF01-\uFF5E\uFFE5\u3000-\u303F]"
HALF_WIDTH = Cel(
    f"!self.matches('{FULL_WIDTH}')",
    "holds full-width characters; type digits and punctuation in half width, e.g. 12:30 for １２：３０",
)


def _field(low_high: str, names: str = "") -> str:
    """One cron field: values, ranges and steps, separated by commas."""
    value = f"({low_high}|{names})" if names else f"({low_high})"
    item = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


_MONTHS = "(?i:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_DAYS = "(?i:SUN|MON|TUE|WED|THU|FRI|SAT)"
_CRON = " ".join(
    [
        _field("[0-5]?[0-9]"),
        _field("[01]?[0-9]|2[0-3]"),
        _field("0?[1-9]|[12][0-9]|3[01]"),
        _field("0?[1-9]|1[0-2]", _MONTHS),
        _field("[0-6]", _DAYS),
    ]
)
Cron = Annotated[
    str,
    Field(min_length=1, max_length=100),
    HALF_WIDTH,
    Cel(
        f"self.matches('{FULL_WIDTH}') || self.matches(r'^{_CRON}$')",
        "must have 5 cron fields, minute hour day-of-month month day-of-week (0-6, 0 is Sunday), separated "
        'by one space each, e.g. "0 3 * * 1" for Mondays at 3:00',
    ),
]


def _backward_ranges() -> str:
    """Ranges whose second number is smaller, as a pattern: arithmetic would exceed CEL's cost budget."""
    digits = [f"{high}-[0-{high - 1}]" for high in range(1, 10)]
    same_tens = [f"{tens}{high}-{tens}[0-{high - 1}]" for tens in range(1, 6) for high in range(1, 10)]
    fewer_tens = [f"{tens}[0-9]-[1-{tens - 1}][0-9]" for tens in range(2, 6)]
    return "|".join(["[1-9][0-9]-[0-9]", *digits, *same_tens, *fewer_tens])


FORWARD_RANGES = Cel(
    f"!self.matches('(^|[ ,])({_backward_ranges()})($|[ ,/])')",
    "has a range that runs backwards; write the smaller number first, e.g. 1-5, or two ranges: 22-23,0-4",
)
"""For a `Cron` that is served: Kubernetes refuses a range such as 5-1."""

_ZONE = "^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]*){1,2})$"
TimeZone = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Cel(
        f"self.matches('{_ZONE}') && self != 'Asia/Beijing'",
        "must be an IANA time zone, e.g. Asia/Shanghai (which is Beijing time) or UTC; "
        "abbreviations such as CST or GMT+8 are ambiguous",
    ),
    Cel(
        f"!self.matches('{_ZONE}') || self == 'Asia/Beijing' || "
        "timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
        "must be a time zone that exists, e.g. Asia/Shanghai",
    ),
]

_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_SHAPE = "^([0-9]{1,7}(ms|s|m|h)){1,4}$"
Duration = Annotated[
    str,
    Field(min_length=1, max_length=32),
    Cel(
        f"self.matches('{_DURATION_SHAPE}')",
        "must be a duration of whole hours, minutes, seconds or milliseconds, e.g. 24h, 1h30m, 150ms; "
        "for days write hours",
    ),
]
"""A duration such as 6h or 1h30m."""


def at_least(least: str) -> Cel:
    """A rule for a `Duration` that must not be shorter than `least`."""
    return Cel(
        f"!self.matches('{_DURATION_SHAPE}') || duration(self) >= duration('{least}')",
        f"must be {least} or longer",
    )


def at_most(most: str) -> Cel:
    """A rule for a `Duration` that must not be longer than `most`."""
    return Cel(
        f"!self.matches('{_DURATION_SHAPE}') || duration(self) <= duration('{most}')",
        f"must be {most} or shorter",
    )


def both_durations(one: str, other: str) -> str:
    """CEL that tells whether two texts are durations, for a rule that compares them: what is none has its own."""
    return f"{one}.matches('{_DURATION_SHAPE}') && {other}.matches('{_DURATION_SHAPE}')"


def duration_of(text: str) -> timedelta:
    """A `Duration` as a timedelta. Raises ValueError when the text is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write e.g. 6h or 1h30m")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))


_DECIMAL = "^[0-9]{1,12}([.][0-9]{1,6})?$"
Amount = Annotated[
    str,
    Field(min_length=1, max_length=20),
    HALF_WIDTH,
    Cel(
        f"self.matches('{FULL_WIDTH}') || self.matches('{_DECIMAL}')",
        "must be a decimal number in quotes without sign, currency or thousands separators, "
        'e.g. "5000" or "0.35"',
    ),
]
"""An amount of money or another exact decimal, as text; at most 6 decimals (micro-units)."""

_RATIO = "^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$"
Ratio = Annotated[
    str,
    Field(min_length=1, max_length=10),
    HALF_WIDTH,
    Cel(
        f"self.matches('{FULL_WIDTH}') || self.matches('{_RATIO}')",
        'must be a decimal number between 0 and 1 in quotes, e.g. "0.95"',
    ),
]


def is_ratio(text: str) -> str:
    """CEL that tells whether a text is a `Ratio`, for a rule that computes with it: what is none has its own."""
    return f"{text}.matches('{_RATIO}')"


def decimal_of(text: str) -> Decimal:
    """An `Amount` or `Ratio` as an exact number."""
    return Decimal(text)


Currency = Annotated[
    str,
    Field(min_length=1, max_length=8),
    Cel(
        "self.matches('^[A-Z]{3}$') && self != 'RMB'",
        "must be an ISO 4217 code of three capital letters, e.g. USD, EUR or CNY (not RMB)",
    ),
]
Date = Annotated[
    str,
    Field(min_length=1, max_length=10),
    Cel(
        "self.matches('^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$')",
        'must be a date in quotes, year-month-day, e.g. "2026-11-01"',
    ),
]

_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = (
    "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    f"T{_CLOCK}:[0-5][0-9]([.][0-9]{{1,6}})?(Z|[+-]{_CLOCK})$"
)
Time = Annotated[
    str,
    Field(min_length=1, max_length=40),
    Cel(
        f"self.matches('{_TIME}')",
        'must be a time with date, seconds and zone (RFC 3339), e.g. "2026-11-11T00:00:00Z" or '
        '"2026-11-11T08:00:00+08:00"',
    ),
    Cel(
        f"!self.matches('{_TIME}') || timestamp(self).getFullYear() >= 1999",
        "must be a day that exists; February has no 30th",
    ),
]
"""A moment, RFC 3339."""

CronOrTime = Annotated[
    str,
    Field(min_length=1, max_length=100),
    HALF_WIDTH,
    Cel(
        f"self.matches('{FULL_WIDTH}') || self.matches('{_TIME}') || self.matches(r'^{_CRON}$')",
        "must have 5 cron fields, minute hour day-of-month month day-of-week (0-6, 0 is Sunday), separated "
        'by one space each, e.g. "0 18 10 11 *", or be one time with date, seconds and zone (RFC 3339), '
        'e.g. "2026-11-10T18:00:00+08:00"',
    ),
    Cel(
        f"!self.matches('{_TIME}') || timestamp(self).getFullYear() >= 1999",
        "must be a day that exists; February has no 30th",
    ),
    FORWARD_RANGES,
]
"""A schedule as a `Cron`, or one moment as a `Time`; only a `Cron` holds a space."""

_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# The last label starts with a letter: 2852039166 and 0xa9fea9fe are addresses in disguise.
_NAME = "[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = rf"({_OCTET}([.]{_OCTET}){{3}}|({_LABEL}[.])*{_NAME}|\[[0-9a-fA-F:]{{2,39}}\])"
_METADATA = (
    r"^(https?://)?([^/@]*@)?(169[.]254[.]|100[.]100[.]100[.]200|metadata[.](google[.]internal|tencentyun[.]com)|"
    r"\[(fe[89ab][0-9a-f]:|fd00:ec2:|[0:]*:ffff:))"
)
NO_CREDENTIALS = Cel(
    "!self.contains('@')",
    "must not hold credentials; put them into a Secret of this namespace and name it in credentialsSecretRef",
)


def _not_link_local(instead: str) -> Cel:
    return Cel(
        f"!self.lowerAscii().matches(r'{_METADATA}')",
        f"must not be a link-local or metadata address; write the name of {instead}",
    )


def _http_url(example: str) -> Cel:
    return Cel(
        f"self.contains('@') || self.matches('{FULL_WIDTH}') || "
        f"self.matches(r'^https?://{_HOST}(:{_PORT})?(/[A-Za-z0-9._~-]+)*/?$')",
        f"must be an http or https URL without query, e.g. {example}",
    )


NOT_LINK_LOCAL = _not_link_local("the store's Service, e.g. milvus.stores.svc:19530")
MilvusEndpoint = Annotated[
    str,
    Field(min_length=1, max_length=300),
    HALF_WIDTH,
    NO_CREDENTIALS,
    NOT_LINK_LOCAL,
    Cel(
        f"self.contains('@') || self.matches('{FULL_WIDTH}') || self.matches(r'^(https?://)?{_HOST}:{_PORT}$')",
        "must be host:port of Milvus, e.g. milvus.stores.svc:19530, or https://host:port for TLS; no path",
    ),
]
HttpEndpoint = Annotated[
    str,
    Field(min_length=1, max_length=300),
    HALF_WIDTH,
    NO_CREDENTIALS,
    NOT_LINK_LOCAL,
    _http_url("https://elasticsearch.stores.svc:9200"),
]
_OPEN_COST = "http://opencost.opencost.svc:9003"
_LOOPBACK = r"^https?://(127[.]|0[.]0|\[[0:]*1?\]|([a-z0-9.-]+[.])?localhost([:/]|$))"
OpenCostUrl = Annotated[
    str,
    Field(min_length=1, max_length=300),
    HALF_WIDTH,
    Cel("!self.contains('@')", "must not hold credentials; OpenCost is asked without any, so remove them"),
    _not_link_local(f"OpenCost's Service, e.g. {_OPEN_COST}"),
    Cel(
        f"!self.lowerAscii().matches(r'{_LOOPBACK}')",
        "must not be a loopback address, which is the operator's own pod; write the name of OpenCost's Service, "
        f"e.g. {_OPEN_COST}",
    ),
    _http_url(_OPEN_COST),
]

_IMAGE = (
    r"^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
Image = Annotated[
    str,
    Field(max_length=400),
    Cel(
        f"self == '' || self.matches(r'{_IMAGE}')",
        "must be an image reference, e.g. registry.example/team/name:tag or "
        "registry.example/team/name@sha256:<64 hex digits>",
    ),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Cel(
        "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",
        "must be the name of an object in this namespace: small letters, digits and dashes, "
        "e.g. milvus-credentials",
    ),
]
AbsolutePath = Annotated[
    str,
    Field(min_length=1, max_length=300),
    Cel(
        "self.matches('^/[A-Za-z0-9._/-]*$') && !self.contains('..')",
        "must be an absolute path without .., e.g. /models",
    ),
]

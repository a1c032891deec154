"""Requests that an encoder should survive, made by hypothesis from what is known to hurt servers.

Strategies draw few small values and grow the large bodies from them, so that a seed makes the same requests again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from search_plane.encoder.settings import MAX_BODY_BYTES, MAX_CLIENT_BATCH_SIZE
from search_plane.release.embedding_wire import BINARY, FINGERPRINT_HEADER, TIMEOUT_HEADER

T = TypeVar("T")
TEXT_KEYS = {"/embed": "inputs", "/": "inputs", "/v1/embeddings": "input", "/tokenize": "inputs"}
GET_PATHS = ("/info", "/health", "/healthz", "/readyz", "/metrics", "/v1/models", "/openapi.json")
_MOST_OF_A_BODY = 400
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Attempt:
    """One request as it goes over the wire: `pieces`, with a `pause` in seconds before each but the first.

    `http` says whether it is an HTTP request at all; with `breaks_off` the client goes without awaiting an answer.
    """

    source: str
    method: str
    path: str
    body: bytes
    headers: Headers = ()
    pieces: tuple[bytes, ...] = field(default=(), repr=False)
    pause: float = 0.0
    http: bool = True
    breaks_off: bool = False

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return sum(map(len, self.pieces))

    def curl(self) -> str:
        """A command line that sends it, the framing aside; a long body is told by its beginning and its length."""
        parts: list[str] = []
        for name, value in self.headers:
            parts += ["-H", f"{name.decode('latin-1')}: {value[:60].decode('latin-1')}"]
        if self.body:
            parts += ["--data-binary", self.body[:_MOST_OF_A_BODY].decode("utf-8", "backslashreplace")]
        rest = f"  # ... {len(self.body)} bytes" if len(self.body) > _MOST_OF_A_BODY else ""
        begun = f'curl -X {self.method} "$ENCODER"{quote(self.path[:_MOST_OF_A_BODY])}'
        return " ".join([begun, *map(quote, parts)]) + rest


def drawn(strategy: "st.SearchStrategy[T]", number: int, count: int) -> list[T]:
    """At most `count` examples; the same for the same `number`."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(one: T) -> None:
        found.append(one)

    collect()
    return found


def _repeated(texts: Sequence[str], counts: Sequence[int]) -> "st.SearchStrategy[str]":
    return st.builds(lambda text, count: text * count, st.sampled_from(texts), st.sampled_from(counts))


_ODD_TEXTS = (
    "", " ", "\u3000\n", "\ufeff米", "\x00", "米\x00米", "\u202e米", "\u200b", "👨‍👩‍👧‍👦", "\U0010ffff", "\uffff", "ﷺ",
    "e" + "\u0301" * 2000, "[CLS] [PAD] [SEP]", "<script>", "${jndi:ldap://x}", "%s%n", "\x1b[31m", "\x85\u2028",
)  # fmt: skip
_PRODUCTS = st.text(alphabet="小米手机充电器五常大米5kgUSB-C", min_size=1, max_size=30)
TEXTS = st.one_of(
    st.text(max_size=40),
    _PRODUCTS,
    st.text(alphabet=st.characters(categories=["Cc", "Cf", "Co", "Mn", "Zs"]), max_size=30),
    st.sampled_from(_ODD_TEXTS),
    _repeated(["a", "米", "! ", "\u0301", "米 ", "\x01"], [100, 600, 5000]),
)
_LONG_TEXTS = _repeated(["a", "米", "!", " 米", "\u0301", "ﷺ"], [50_001, 100_001, 300_000, 2_000_000])
_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**31, 2**53 + 1, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0])
)
_VALUES: "st.SearchStrategy[Any]" = st.recursive(
    st.none() | st.booleans() | _NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_OPTIONS: dict[str, list[Any]] = {
    "prompt_name": ["query", "document", None, "Query", "", 1],
    "normalize": [True, False, None, "true", 0],
    "truncate": [True, False, None, "no", []],
    "truncation_direction": ["right", "Right", None, "left", 0, {}],
    "dimensions": [32, 32.0, None, 8, 0, -1, "32", True],
    "encoding_format": ["float", "base64", None, "hex", 3],
    "add_special_tokens": [True, False, None, 1],
    "model": ["m3e-base", None, 5],
    "user": ["u", None, {}],
}
# What json.dumps would never write; KEY stands for the name of the texts.
_LITERALS = (
    b"", b" ", b"null", b"true", b"[]", b"{}", b'""', b"0", b"NaN", b"-", b"{", b'{"KEY"', b'{"KEY":', b'{"KEY": "a"',
    b'{"KEY": NaN}', b'{"KEY": "a", "dimensions": NaN}', b'{"KEY": "a", "dimensions": Infinity}',
    b'{"KEY": "a", "dimensions": 1e999999}', b'{"KEY": "a", "dimensions": -0}', b'{"KEY": "a", "dimensions": 32.0}',
    b'{"KEY": "a", "KEY": "b"}', b'{"KEY": "a", "KEY": 3}', b'{"KEY": 3, "KEY": "a"}', b'{"KEY": "a",}',
    b"{'KEY': 'a'}", b'{"KEY": "a"} {"KEY": "b"}', b'{"KEY": "a"}\x00', b'/**/{"KEY": "a"}', b'\xef\xbb\xbf{"KEY": "a"}',
    b'{"KEY": "\\ud83d"}', b'{"KEY": "\\udc00\\ud800"}', b'{"KEY": ["a", "\\ud83d"]}', b'{"KEY": "\\ud83d\\ude00"}',
    b'{"KEY": "\xed\xa0\x80"}', b'{"KEY": "\xff"}', b'{"KEY": "\xc0\x80"}', b'{"KEY": "\xe5\xb0"}',
    b'{"KEY": "\xf4\x90\x80\x80"}', b'{"KEY": "\x01"}', b'{"KEY": "\\u0000"}', b'{"KEY": "\\x41"}',
    b'{"\\u0000": 1, "KEY": "a"}',
    b'{"KEY": "a", "\\ud83d": 1}', b'{"": 1, "KEY": "a"}', '{"KEY": "a"}'.encode("utf-16"), b"KEY=a",
)  # fmt: skip


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _nested(key: str, option: str | None, depth: int, opening: str) -> bytes:
    """Brackets within brackets, as the texts or as an option's value."""
    closing = {"[": "]", '{"a":': "}"}[opening]
    deep = f"{opening * depth}1{closing * depth}"
    within = {key: "米"} | {option: 0} if option else {key: 0}
    return json.dumps(within).replace(": 0", f": {deep}").encode()


def _padded(key: str, size: int) -> bytes:
    whole = _json({key: "米"})
    return whole[:-1] + b" " * (size - len(whole)) + b"}"


def bodies(key: str) -> "st.SearchStrategy[bytes]":
    """Bodies for a route that calls its texts `key`: right ones, nearly right ones, and anything at all."""
    options = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(some) | _VALUES for name, some in _OPTIONS.items()}
    )
    few = st.dictionaries(st.just("prompt_name"), st.sampled_from(["query", "document", None]), max_size=1)
    texts = TEXTS | st.lists(TEXTS, max_size=8)
    right = st.builds(lambda some, more: _json({key: some, **more}), texts, few)
    mutated = st.builds(
        lambda body, at, junk, cut: body[: at % len(body)] + junk + body[at % len(body) + cut :],
        right, st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 4),
    )  # fmt: skip
    good = st.builds(
        lambda some, more: _json({key: some, **more}), _PRODUCTS | st.lists(_PRODUCTS, min_size=1), few
    )
    return st.one_of(
        good,
        good,
        right,
        st.builds(lambda some, more: _json({key: some, **more}), texts, options),
        st.builds(lambda value, more: _json({key: value, **more}), _VALUES, few),
        _VALUES.map(_json),
        mutated,
        st.sampled_from(_LITERALS).map(lambda one: one.replace(b"KEY", key.encode())),
        st.binary(max_size=200),
    )


def large_bodies(key: str) -> "st.SearchStrategy[bytes]":
    """Bodies that are deep, long or many; they cost a thousand times the others."""
    many = [MAX_CLIENT_BATCH_SIZE - 1, MAX_CLIENT_BATCH_SIZE, MAX_CLIENT_BATCH_SIZE + 1, 10_000]
    return st.one_of(
        st.builds(
            _nested, st.just(key), st.sampled_from([None, *sorted(_OPTIONS)]),
            st.sampled_from([100, 900, 1020, 1100, 100_000]), st.sampled_from(["[", '{"a":']),
        ),
        st.builds(lambda text, count: _json({key: [text] * count}), TEXTS, st.sampled_from(many)),
        st.builds(lambda text: _json({key: text}), _LONG_TEXTS),
        st.builds(_padded, st.just(key), st.sampled_from([MAX_BODY_BYTES + by for by in (-1, 0, 1)])),
        st.sampled_from([b"[" * 10_000_000, b'"' + b"a" * 10_000_000, b"1" * 100_000, b" " * 10_000_000]),
        st.builds(lambda n: _json({key: "米"} | {f"k{i}": i for i in range(n)}), st.sampled_from([50, 50_000])),
        st.builds(lambda n: _json({key: "米", "k" * n: 1}), st.sampled_from([5000, 1_000_000])),
    )  # fmt: skip


_TIMES = (
    b"", b"0", b"1", b"2", b"50", b"-1", b"+5", b"1.5", b"1e3", b"soon", b"NaN", b"\xb2", b"\xd9\xa3", b"5, 6", b"0x10",
    b"999999999999", b"9" * 5000, b"0" * 20 + b"1", b"1_000",
)  # fmt: skip
_ACCEPTS = (
    b"", b"*/*", b"application/json", BINARY.encode(), f"{BINARY};dtype=float32".encode(),
    f"{BINARY}; dtype=float16".encode(), f"{BINARY};dtype=float64".encode(), b"text/html", b",", b";;;", b"\xff",
    f"{BINARY};q=0, application/json".encode(), b"," * 10_000, b"APPLICATION/OCTET-STREAM;DTYPE=FLOAT16",
)  # fmt: skip


def headers_for(fingerprint: str) -> "st.SearchStrategy[Headers]":
    """Up to three headers, odd or not; more than one of a name sometimes."""
    prints = [
        fingerprint.encode(),
        b"",
        b"sha256:other",
        b"\xff",
        fingerprint.upper().encode(),
        b"x" * 10_000,
    ]
    # Other control characters are no HTTP.
    value = st.binary(max_size=30).map(lambda raw: raw.translate(None, bytes([*range(32), 127])).strip())
    one = st.one_of(
        st.tuples(st.just(TIMEOUT_HEADER.encode()), st.sampled_from(_TIMES)),
        st.tuples(st.just(FINGERPRINT_HEADER.encode()), st.sampled_from(prints)),
        st.tuples(st.just(b"Accept"), st.sampled_from(_ACCEPTS)),
        st.tuples(
            st.just(b"Content-Type"), st.sampled_from([b"text/plain", b"application/json;charset=gbk", b""])
        ),
        st.tuples(st.just(b"Content-Encoding"), st.sampled_from([b"gzip", b"identity"])),
        st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"cake"])),
        st.tuples(
            st.just(b"traceparent"),
            st.sampled_from([b"00-" + b"0a" * 16 + b"-" + b"0b" * 8 + b"-01", b"ff-x", b"", b"0" * 600]),
        ),
        st.tuples(st.sampled_from([b"X-Any", b"Accept", TIMEOUT_HEADER.encode()]), value),
    )
    return st.lists(one, max_size=3).map(tuple)

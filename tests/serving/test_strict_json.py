"""JSON is read strictly, and a fault is named by its path."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.refusal import Refusal, json_bytes
from serving.strict_json import parse

scalars = (
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
documents = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


@given(documents)
def test_what_json_writes_is_read_back(document: object) -> None:
    assert parse(json.dumps(document, allow_nan=False).encode()) == document


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except Refusal as error:
        refusal = error
    else:
        return
    assert (refusal.status, refusal.code) == (400, "invalid_json")
    json.loads(refusal.body())


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (b'{"a": [1, {"b": NaN}]}', "a[1].b", "finite number, found NaN"),
        (b'{"a": -Infinity}', "a", "found -Infinity"),
        (b"[1, 1e999]", "[1]", "found 1e999"),
        (b'{"a": {"b": 1, "c": [], "b": 2}}', "a.b", "given twice"),
        (b'{"a": [{"x": 1}, {"x": 1, "x": 1}]}', "a[1].x", "given twice"),
        (b'{"\\u0061": 1, "a": 2}', "a", "given twice"),
        (b'{"a": "\xff"}', "body", "byte 7 cannot be decoded"),
        (b"\xed\xa0\x80", "body", "not UTF-8"),
        (b'{"a": 1,}', "body", "line 1, column "),
        (b"", "body", "no JSON"),
        (b"{} {}", "body", "Extra data"),
        (b"[" * 200_000, "body", "too deeply"),
        (b'{"a":' * 200_000, "body", "too deeply"),
        (b"1" * 5000, "body", "thousands of digits"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_path(body: bytes, path: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(body)
    assert [fault.path for fault in caught.value.details] == [path]
    assert message in caught.value.details[0].message


def test_answers_never_hold_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes({"value": float("nan")})


def test_half_a_surrogate_pair_cannot_break_an_answer() -> None:
    assert json_bytes({"path": "\ud800"}) == b'{"path":"?"}'

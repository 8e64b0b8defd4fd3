"""JSON as it must come in: UTF-8, no NaN or infinity, no key twice in one object; faults are named by their path.

``json.loads`` takes ``NaN``, keeps the last of two equal keys and cannot say where something was. So a request without
a fault is read once, and one with a fault a second time, slowly, to find the place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from serving.refusal import Fault, Refusal

WHOLE = "body"
"""The path of the document itself."""


def parse(body: bytes) -> Any:
    """Read one JSON document.

    Raises Refusal (400, ``invalid_json``): not UTF-8, no JSON, NaN or infinity, a key twice, nested too deeply.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(WHOLE, f"is not UTF-8: byte {error.start} cannot be decoded") from None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_suspect, parse_float=_finite)
    except _SuspectError:
        raise _locate(text) from None
    except json.JSONDecodeError as error:
        raise _refusal(WHOLE, f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _refusal(WHOLE, "is nested too deeply") from None
    except ValueError:  # CPython refuses to read integers of more than 4,300 digits.
        raise _refusal(WHOLE, "holds a whole number with thousands of digits") from None


def path_of(location: tuple[str | int, ...]) -> str:
    """Write a place in a document as people do.

    >>> path_of(("customers", 3, "orders", 0, "amount"))
    'customers[3].orders[0].amount'
    >>> path_of(())
    'body'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:100]}" for part in location)
    return text.removeprefix(".") or WHOLE


class _SuspectError(Exception):
    """There is a fault somewhere."""


@dataclass(frozen=True, slots=True)
class _NoNumber:
    text: str


class _Object(list[tuple[str, Any]]):
    """An object with its keys as written, twice or not."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _SuspectError
    return found


def _suspect(_: str) -> NoReturn:
    raise _SuspectError


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _SuspectError
    return number


def _locate(text: str) -> Refusal:
    """Name the first fault of a document that has one."""
    try:
        document = json.loads(text, object_pairs_hook=_Object, parse_constant=_NoNumber, parse_float=_maybe_number)
        return next(_faults(document, ()))
    except (RecursionError, ValueError):
        return _refusal(WHOLE, "is no valid JSON")


def _maybe_number(text: str) -> float | _NoNumber:
    return _NoNumber(text) if math.isinf(float(text)) else float(text)


def _faults(value: Any, location: tuple[str | int, ...]) -> Iterator[Refusal]:
    if isinstance(value, _NoNumber):
        yield _refusal(path_of(location), f"must be a finite number, found {value.text[:40]}")
    elif isinstance(value, _Object):
        seen: set[str] = set()
        for key, inner in value:
            if key in seen:
                yield _refusal(path_of((*location, key)), "is given twice in one object")
            seen.add(key)
            yield from _faults(inner, (*location, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _faults(inner, (*location, index))


def _refusal(path: str, message: str) -> Refusal:
    return Refusal(400, "invalid_json", f"{path} {message}", (Fault(path, message),))

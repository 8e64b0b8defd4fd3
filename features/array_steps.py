"""Steps over NumPy arrays, recorded once and run over many small tables: under ``features.arrays``.

A recorded column is two arrays, of values and of where they are missing; that a column can be missing at all is known
while recording, so that nothing is paid for it elsewhere. Equal steps are recorded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Operation = Callable[..., Any]
_TWO = 2


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a program finds a column: the place of its values, and of its missing cells (True), if there can be any."""

    values: int
    missing: int | None = None


class Program:
    """Steps in order. Rows of a frame, groups of rows and single numbers are all arrays here, which NumPy broadcasts."""

    def __init__(self) -> None:
        self._inputs: list[str] = []
        self._constants: dict[int, Any] = {}
        self._steps: list[tuple[Operation, tuple[int, ...], int]] = []
        self._places: dict[tuple[Any, ...], int] = {}

    def input(self, name: str) -> int:
        """The place of an array that is given with each run."""
        self._inputs.append(name)
        return self._place(("input", name))

    def constant(self, value: Any) -> int:
        """The place of a value that never changes."""
        place = self._place((type(value), value))
        self._constants[place] = value
        return place

    def step(self, operation: Operation, *arguments: int) -> int:
        """The place of what ``operation`` gives of what is at ``arguments``."""
        known, key = len(self._places), (operation, *arguments)
        place = self._place(key)
        if place == known:
            self._steps.append((operation, arguments, place))
        return place

    def _place(self, key: tuple[Any, ...]) -> int:
        return self._places.setdefault(key, len(self._places))

    def run(self, inputs: Mapping[str, Array], wanted: Sequence[int]) -> list[Array]:
        """What is at the ``wanted`` places for these inputs."""
        found: list[Any] = [None] * len(self._places)
        for place, value in self._constants.items():
            found[place] = value
        for name in self._inputs:
            found[self._places["input", name]] = inputs[name]
        # What is missing is computed all the same, of whatever stands there.
        with np.errstate(all="ignore"):
            for operation, arguments, place in self._steps:
                if len(arguments) == _TWO:  # most of them, and worth it
                    first, second = arguments
                    found[place] = operation(found[first], found[second])
                else:
                    found[place] = operation(*[found[argument] for argument in arguments])
        return [found[place] for place in wanted]

    # Columns

    def apply(self, operation: Operation, *columns: Recorded) -> Recorded:
        """Apply a function of single cells; missing where one of them is."""
        values = self.step(operation, *(column.values for column in columns))
        return Recorded(values, self.either(*(column.missing for column in columns)))

    def either(self, *places: int | None) -> int | None:
        """Where one of several is missing."""
        known = [place for place in dict.fromkeys(places) if place is not None]
        if not known:
            return None
        first, *others = known
        for other in others:
            first = self.step(np.logical_or, first, other)
        return first

    def truth(self, condition: Recorded) -> int:
        """Where a condition holds; it does not where it is missing."""
        return condition.values if condition.missing is None else self.step(_and_not, condition.values, condition.missing)

    def choose(self, condition: Recorded, then: Recorded, otherwise: Recorded | None) -> Recorded:
        """``then`` where the condition holds, else ``otherwise``, or missing."""
        holds = self.truth(condition)
        if otherwise is None:
            return Recorded(then.values, self.either(self.step(np.logical_not, holds), then.missing))
        values = self.step(np.where, holds, then.values, otherwise.values)
        if then.missing is None and otherwise.missing is None:
            return Recorded(values)
        never = self.constant(value=False)
        missing = (never if one.missing is None else one.missing for one in (then, otherwise))
        return Recorded(values, self.step(np.where, holds, *missing))

    def filled(self, column: Recorded, other: Recorded) -> Recorded:
        """The column, and ``other`` where it is missing."""
        if column.missing is None:
            return column
        return Recorded(self.step(np.where, column.missing, other.values, column.values), other.missing)

    def taken(self, column: Recorded, index: int) -> Recorded:
        """The rows of a column at ``index``."""
        missing = None if column.missing is None else self.step(_take, column.missing, index)
        return Recorded(self.step(_take, column.values, index), missing)

    def stacked(self, columns: Sequence[Recorded]) -> Recorded:
        """The rows of the columns one after the other."""
        values = self.step(concatenated, *(column.values for column in columns))
        if all(column.missing is None for column in columns):
            return Recorded(values)
        return Recorded(values, self.step(concatenated, *(self.mask(column) for column in columns)))

    def mask(self, column: Recorded) -> int:
        """Where a column is missing, as an array in any case."""
        return self.step(_nowhere, column.values) if column.missing is None else column.missing

    # Groups: rows in an order in which equal keys follow each other, and the first row of each

    def order(self, keys: Sequence[Recorded]) -> int:
        """The rows in the order of several keys, missing first; equal ones stay as they are."""
        first_key_last = [part for key in reversed(keys) for part in self._sort_parts(key)]
        return self.step(_lexsort, *first_key_last)

    def _sort_parts(self, key: Recorded) -> tuple[int, ...]:
        if key.missing is None:
            return (key.values,)
        return self.step(_or_zero, key.values, key.missing), self.step(np.logical_not, key.missing)

    def starts(self, ordered_keys: Sequence[Recorded]) -> int:
        """The first row of each group, of keys in order."""
        return self.step(_starts, *(key.values for key in ordered_keys))

    def total(self, column: Recorded, starts: int) -> Recorded:
        """The sum of each group, over what is there."""
        return Recorded(self.step(_sums, self._or_zero(column), starts))

    def number(self, column: Recorded, starts: int) -> Recorded:
        """How many cells of each group are there."""
        return Recorded(self.step(_counts, self.mask(column), starts))

    def extreme(self, column: Recorded, starts: int, operation: Operation) -> Recorded:
        """The least (``np.minimum``) or the most (``np.maximum``) of each group; missing where nothing is there."""
        reduced = _minima if operation is np.minimum else _maxima
        if column.missing is None:
            return Recorded(self.step(reduced, column.values, starts))
        outermost = _or_most if operation is np.minimum else _or_least
        values = self.step(reduced, self.step(outermost, column.values, column.missing), starts)
        return Recorded(values, self.step(np.equal, self.number(column, starts).values, self.constant(0)))

    def running_total(self, column: Recorded, starts: int) -> Recorded:
        """The sum so far within each group, over what is there; missing where the cell itself is."""
        return Recorded(self.step(_running_sums, self._or_zero(column), starts), column.missing)

    def shifted(self, column: Recorded, starts: int) -> Recorded:
        """The cell above within each group; missing in its first row."""
        return Recorded(self.step(_above, column.values), self.step(_missing_above, self.mask(column), starts))

    def spread(self, column: Recorded, starts: int, rows: int) -> Recorded:
        """One value per group for each of its rows, where ``rows`` is any array of all rows."""
        return self.taken(column, self.step(_group_of_row, starts, rows))

    def _or_zero(self, column: Recorded) -> int:
        return column.values if column.missing is None else self.step(_or_zero, column.values, column.missing)


def _and_not(values: Array, missing: Array) -> Array:
    return values & ~missing


def _take(values: Array, index: Array | None) -> Array:
    return values if index is None else values[index]


def rows_where(mask: Array) -> Array | None:
    """The rows for which a condition holds; None for all of them as they are, the usual case, which is then free."""
    return None if mask.all() else np.flatnonzero(mask)


def concatenated(*parts: Array) -> Array:
    """The rows of several columns one after the other."""
    return np.concatenate(parts)


def _nowhere(values: Array) -> Array:
    return np.zeros(np.shape(values), dtype=np.bool_)


def _lexsort(*keys: Array) -> Array | None:
    order = np.lexsort(keys)
    return None if (order[1:] > order[:-1]).all() else order


def _or_zero(values: Array, missing: Array) -> Array:
    # A zero of the same kind spares NumPy a cast.
    return np.where(missing, 0.0 if values.dtype.kind == "f" else 0, values)


def _or_most(values: Array, missing: Array) -> Array:
    return np.where(missing, _bounds(values.dtype)[1], values)


def _or_least(values: Array, missing: Array) -> Array:
    return np.where(missing, _bounds(values.dtype)[0], values)


@cache
def _bounds(kind: np.dtype[Any]) -> tuple[Any, Any]:
    limits: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return kind.type(limits.min), kind.type(limits.max)


def _starts(*keys: Array) -> Array:
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return changes.nonzero()[0]


def _sums(values: Array, starts: Array) -> Array:
    return np.add.reduceat(values, starts)


def _minima(values: Array, starts: Array) -> Array:
    return np.minimum.reduceat(values, starts)


def _maxima(values: Array, starts: Array) -> Array:
    return np.maximum.reduceat(values, starts)


def _counts(missing: Array, starts: Array) -> Array:
    return np.add.reduceat(np.logical_not(missing), starts, dtype=np.int64)


def _running_sums(values: Array, starts: Array) -> Array:
    sums: Array = values.cumsum()
    before = sums[starts] - values[starts]
    sums -= np.repeat(before, group_sizes(starts, values))
    return sums


def _above(values: Array) -> Array:
    return np.concatenate([values[:1], values[:-1]])


def _missing_above(missing: Array, starts: Array) -> Array:
    above = np.concatenate([missing[:1], missing[:-1]])
    above[starts] = True
    return above


def _group_of_row(starts: Array, rows: Array) -> Array:
    return np.repeat(np.arange(len(starts)), group_sizes(starts, rows))


def group_sizes(starts: Array, rows: Array) -> Array:
    """How many rows each group has; ``rows`` is any array of all rows."""
    sizes = np.empty_like(starts)
    sizes[:-1] = starts[1:] - starts[:-1]
    sizes[-1:] = len(rows) - starts[-1:]
    return sizes


def inverse(order: Array | None) -> Array | None:
    """Where each row is, in an order."""
    if order is None:
        return None
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def is_among(*keys: Array) -> Array:
    """Whether the first half of the keys, row by row, is found among the rows of the second half."""
    own, others = keys[: len(keys) // 2], keys[len(keys) // 2 :]
    known = set(zip(*(other.tolist() for other in others), strict=True))
    rows = zip(*(one.tolist() for one in own), strict=True)
    return np.fromiter((row in known for row in rows), dtype=np.bool_, count=len(own[0]))


def cast(values: Array, kind: np.dtype[Any]) -> Array:
    """The same as another kind of number."""
    return np.asarray(values, kind)


def rounded(values: Array, decimals: int) -> Array:
    """``np.round``, without its detours."""
    return values.round(decimals)

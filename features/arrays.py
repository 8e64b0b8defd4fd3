"""Narwhals on NumPy, for tables of a few rows: one plan, recorded once, serves every HTTP request.

Engines for large tables take milliseconds to make a plan of a hundred expressions ready, each time; the arithmetic of one
customer takes microseconds. So the very same Narwhals plan is recorded as steps over arrays (``features.array_steps``)
and only these are run. It is one more engine under the one definition of every feature, and tests hold it against the
others; what no plan has needed is not there (NotImplementedError while recording).

Columns are float64 or int64: text comes in as its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn

import narwhals as nw
import numpy as np

from features.array_steps import (
    Array,
    Program,
    Recorded,
    cast,
    group_sizes,
    inverse,
    is_among,
    rounded,
    rows_where,
)

Plan = Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]]
Record = Callable[["_Rows"], Recorded]


class ArrayPlan:
    """``plan`` recorded for the columns ``names``, of which those in ``nullable`` may have missing cells (NaN).

    Any thread may run it, several at a time.
    """

    def __init__(self, plan: Plan, names: Sequence[str], *, nullable: Sequence[str] = ()) -> None:
        self._program = Program()
        columns = {name: self._input(name, nullable=name in nullable) for name in names}
        result: _Frame = nw.to_native(plan(nw.from_native(_Frame(self._program, columns.__getitem__, tuple(names)))))
        self._names = result.columns
        recorded = [result.column(name) for name in result.columns]
        never = self._program.constant(None)
        self._wanted = [part for one in recorded for part in (one.values, never if one.missing is None else one.missing)]

    def _input(self, name: str, *, nullable: bool) -> Recorded:
        values = self._program.input(name)
        return Recorded(values, self._program.step(np.isnan, values) if nullable else None)

    def run(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """The result for some rows, in an order of its own; NaN where a cell is missing, one number where all are the same."""
        found = self._program.run(columns, self._wanted)
        pairs = zip(self._names, found[::2], found[1::2], strict=True)
        return {name: values if missing is None else np.where(missing, np.nan, values) for name, values, missing in pairs}


class _Frame:
    """A compliant lazy frame: its columns are recorded when they are asked for, each once."""

    _version = None

    def __init__(self, program: Program, column: Callable[[str], Recorded], columns: Sequence[str]) -> None:
        self.program, self.column, self.columns = program, cache(column), tuple(columns)
        self.rows = _Rows(program, self.column)

    def __narwhals_lazyframe__(self) -> _Frame:
        return self

    def __narwhals_namespace__(self) -> _Namespace:
        return _Namespace()

    def _with_version(self, _: Any) -> _Frame:
        return self

    @property
    def _native_frame(self) -> _Frame:
        return self

    def collect_schema(self) -> dict[str, nw.dtypes.DType]:
        return {name: nw.Unknown() for name in self.columns}

    def simple_select(self, *names: str) -> _Frame:
        return _Frame(self.program, self.column, names)

    def select(self, *expressions: _Expr) -> _Frame:
        made = {one.name: one for one in expressions}
        return _Frame(self.program, lambda name: made[name].record(self.rows), tuple(made))

    def with_columns(self, *expressions: _Expr) -> _Frame:
        made = self.select(*expressions)
        names = dict.fromkeys([*self.columns, *made.columns])
        return _Frame(self.program, lambda name: (made if name in made.columns else self).column(name), tuple(names))

    def drop(self, names: Sequence[str], *, strict: bool) -> _Frame:
        del strict
        return self.simple_select(*(name for name in self.columns if name not in names))

    def filter(self, condition: _Expr) -> _Frame:
        return self._where(self.program.truth(condition.record(self.rows)))

    def _where(self, mask: int) -> _Frame:
        index = self.program.step(rows_where, mask)
        return _Frame(self.program, lambda name: self.program.taken(self.column(name), index), self.columns)

    def join(self, other: _Frame, *, how: str, left_on: Sequence[str], right_on: Sequence[str], suffix: str) -> _Frame:
        del suffix
        _only(how in ("semi", "anti"), "semi and anti joins")
        keys = (frame.column(name).values for frame, names in ((self, left_on), (other, right_on)) for name in names)
        inside = self.program.step(is_among, *keys)
        return self._where(inside if how == "semi" else self.program.step(np.logical_not, inside))

    def unique(self, *, subset: Any, keep: str, order_by: Any) -> _Frame:
        _only(subset is None and keep == "any" and order_by is None, "unique of all columns")
        return self.group_by(self.columns, drop_null_keys=False).agg()

    def group_by(self, keys: Sequence[str], *, drop_null_keys: bool) -> _Groups:
        del drop_null_keys
        return _Groups(self, tuple(keys))


class _Groups:
    def __init__(self, frame: _Frame, keys: tuple[str, ...]) -> None:
        self._frame, self._keys = frame, keys

    def agg(self, *expressions: _Expr) -> _Frame:
        ordered = _Ordered(self._frame.rows, self._keys, ())
        made = {one.name: one for one in expressions}

        def column(name: str) -> Recorded:
            if name in self._keys:
                return ordered.program.taken(ordered.column(name), ordered.starts)
            return made[name].record(ordered)

        return _Frame(self._frame.program, column, (*self._keys, *made))


class _Rows:
    """Where an expression is recorded: the rows of a frame as they are."""

    def __init__(self, program: Program, column: Callable[[str], Recorded]) -> None:
        self.program, self.column = program, column

    @property
    def starts(self) -> int:
        return _refused("an aggregation without group_by or over")

    def size(self) -> Recorded:
        return Recorded(self.program.step(group_sizes, self.starts, self.any_column()))

    def any_column(self) -> int:
        return _refused("a number of rows without group_by")


class _Ordered(_Rows):
    """The rows in the order of keys, groups of equal keys one after the other."""

    def __init__(self, rows: _Rows, keys: Sequence[str], order_by: Sequence[str]) -> None:
        self.order = rows.program.order([rows.column(name) for name in (*keys, *order_by)])
        super().__init__(rows.program, cache(lambda name: rows.program.taken(rows.column(name), self.order)))
        self._keys = [self.column(name) for name in keys]

    @property
    def starts(self) -> int:
        return self.program.starts(self._keys)

    def any_column(self) -> int:
        return self._keys[0].values


class _Expr:
    """A compliant expression: recorded where its frame wants it."""

    _opt_metadata: Any = None

    def __init__(self, record: Record, name: str = "literal") -> None:
        self.record, self.name = record, name

    @property
    def _metadata(self) -> Any:
        return self._opt_metadata

    def __getattr__(self, name: str) -> Any:
        return _Absent(name)

    def _cells(self, operation: Callable[..., Any], *others: _Expr) -> _Expr:
        return _Expr(lambda rows: rows.program.apply(operation, *(one.record(rows) for one in (self, *others))), self.name)

    def __add__(self, other: _Expr) -> _Expr:
        return self._cells(np.add, other)

    def __sub__(self, other: _Expr) -> _Expr:
        return self._cells(np.subtract, other)

    def __rsub__(self, other: _Expr) -> _Expr:
        return other._cells(np.subtract, self).alias(self.name)

    def __mul__(self, other: _Expr) -> _Expr:
        return self._cells(np.multiply, other)

    def __truediv__(self, other: _Expr) -> _Expr:
        return self._cells(np.true_divide, other)

    def __rtruediv__(self, other: _Expr) -> _Expr:
        return other._cells(np.true_divide, self).alias(self.name)

    def __neg__(self) -> _Expr:
        return self._cells(np.negative)

    def __lt__(self, other: _Expr) -> _Expr:
        return self._cells(np.less, other)

    def __le__(self, other: _Expr) -> _Expr:
        return self._cells(np.less_equal, other)

    def __gt__(self, other: _Expr) -> _Expr:
        return self._cells(np.greater, other)

    def __ge__(self, other: _Expr) -> _Expr:
        return self._cells(np.greater_equal, other)

    def __eq__(self, other: object) -> Any:
        return self._cells(np.equal, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Any:
        return self._cells(np.not_equal, other)  # type: ignore[arg-type]

    __hash__ = object.__hash__

    def __and__(self, other: _Expr) -> _Expr:
        return self._sure(np.logical_and, other)

    def __or__(self, other: _Expr) -> _Expr:
        return self._sure(np.logical_or, other)

    def __invert__(self) -> _Expr:
        return self._cells(np.logical_not)

    def _sure(self, operation: Callable[..., Any], other: _Expr) -> _Expr:
        def record(rows: _Rows) -> Recorded:
            both = [one.record(rows) for one in (self, other)]
            _only(all(one.missing is None for one in both), "and and or of conditions that are never missing")
            return rows.program.apply(operation, *both)

        return _Expr(record, self.name)

    def abs(self) -> _Expr:
        return self._cells(np.abs)

    def floor(self) -> _Expr:
        return self._cells(np.floor)

    def exp(self) -> _Expr:
        return self._cells(np.exp)

    def log(self, base: float) -> _Expr:
        _only(base == np.e, "the natural logarithm")
        return self._cells(np.log)

    def sqrt(self) -> _Expr:
        return self._cells(np.sqrt)

    def round(self, decimals: int) -> _Expr:
        return self._cells(rounded, _constant(decimals))

    def clip_lower(self, bound: _Expr) -> _Expr:
        return self._cells(np.maximum, bound)

    def cast(self, dtype: Any) -> _Expr:
        kind = {nw.Int64: np.dtype(np.int64), nw.Float64: np.dtype(np.float64)}.get(dtype)
        return _Expr(lambda _: _refused(f"a cast to {dtype}")) if kind is None else self._cells(cast, _constant(kind))

    def fill_null(self, value: _Expr, *, strategy: Any, limit: Any) -> _Expr:
        _only(strategy is None and limit is None, "fill_null with a value")
        return _Expr(lambda rows: rows.program.filled(self.record(rows), value.record(rows)), self.name)

    def sum(self) -> _Expr:
        return _Expr(lambda rows: rows.program.total(self.record(rows), rows.starts), self.name)

    def count(self) -> _Expr:
        return _Expr(lambda rows: rows.program.number(self.record(rows), rows.starts), self.name)

    def min(self) -> _Expr:
        return _Expr(lambda rows: rows.program.extreme(self.record(rows), rows.starts, np.minimum), self.name)

    def max(self) -> _Expr:
        return _Expr(lambda rows: rows.program.extreme(self.record(rows), rows.starts, np.maximum), self.name)

    def cum_sum(self, *, reverse: bool) -> _Expr:
        _only(not reverse, "cum_sum forwards")
        return _Expr(lambda rows: rows.program.running_total(self.record(rows), rows.starts), self.name)

    def shift(self, n: int) -> _Expr:
        _only(n == 1, "a shift by one row")
        return _Expr(lambda rows: rows.program.shifted(self.record(rows), rows.starts), self.name)

    def over(self, partition_by: Sequence[str], order_by: Sequence[str]) -> _Expr:
        def record(rows: _Rows) -> Recorded:
            ordered = _Ordered(rows, partition_by, order_by)
            found = self.record(ordered)
            if not order_by:  # one value per group
                found = rows.program.spread(found, ordered.starts, ordered.any_column())
            return rows.program.taken(found, rows.program.step(inverse, ordered.order))

        return _Expr(record, self.name)

    def alias(self, name: str) -> _Expr:
        return _Expr(self.record, name)

    def broadcast(self) -> _Expr:
        return _Expr(self.record, self.name)


class _Namespace:
    """What Narwhals asks for by ``nw.col``, ``nw.when`` and the like."""

    _implementation = None

    def __getattr__(self, name: str) -> Any:
        return _Absent(name)

    def col(self, name: str) -> _Expr:
        return _Expr(lambda rows: rows.column(name), name)

    def lit(self, value: Any, dtype: Any) -> _Expr:
        del dtype
        return _constant(value)

    def len(self) -> _Expr:
        return _Expr(lambda rows: rows.size(), "len")

    def all_horizontal(self, condition: _Expr, *others: _Expr, ignore_nulls: bool) -> _Expr:
        _only(not others and not ignore_nulls, "one condition at a time")
        return condition

    def when_then(self, condition: _Expr, then: _Expr, otherwise: _Expr | None = None) -> _Expr:
        def record(rows: _Rows) -> Recorded:
            other = None if otherwise is None else otherwise.record(rows)
            return rows.program.choose(condition.record(rows), then.record(rows), other)

        return _Expr(record, then.name)

    def coalesce(self, *expressions: _Expr) -> _Expr:
        def record(rows: _Rows) -> Recorded:
            found = expressions[0].record(rows)
            # What never steps in is not recorded: it may be text.
            for other in expressions[1:] if found.missing is not None else ():
                found = rows.program.filled(found, other.record(rows))
            return found

        return _Expr(record, expressions[0].name)

    def concat(self, frames: Sequence[_Frame], *, how: str) -> _Frame:
        _only(how == "vertical", "one frame below the other")
        program = frames[0].program
        return _Frame(program, lambda name: program.stacked([one.column(name) for one in frames]), frames[0].columns)


class _Absent:
    """An operation that no plan has needed: refused when something of it is to be recorded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> _Absent:
        return _Absent(f"{self._name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> _Expr:
        return _Expr(lambda _: _refused(self._name))


def _constant(value: Any) -> _Expr:
    return _Expr(lambda rows: Recorded(rows.program.constant(value)))


def _only(holds: bool, what: str) -> None:  # noqa: FBT001
    if not holds:
        _refused(f"anything but {what}")


def _refused(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not there on arrays: see features.arrays")

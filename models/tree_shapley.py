"""Exact path-dependent TreeSHAP of a LightGBM booster out of tables: the same for one customer or for millions.

Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees", algorithm 2. What a
leaf contributes depends on a row only by which of the few conditions on its path hold. So the contributions of all leaves,
for every pattern of conditions, are computed once, and a row looks them up: a tenth of the time of LightGBM's
``pred_contrib``, to which a test holds them equal to 1e-9. (Nadel & Wettenstein 2025, "From decision trees to Boolean
logic", use the same patterns.) Leaves that share conditions are looked up together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from models.columns import Floats

Whole = npt.NDArray[np.intp]

CONDITIONS = 8
"""Of one pattern: a byte."""
CHUNK_ROWS = 64
"""Bounds the memory, and keeps what is looked up in the cache."""


@dataclass(frozen=True)
class _Split:
    """``value <= threshold`` goes left; so does a missing value, if ``missing_left``."""

    feature: int
    threshold: float
    missing_left: bool


@dataclass(frozen=True)
class _Step:
    """One step of the path to a leaf: a split (its place), the way taken, and the share of training rows that took it."""

    split: int
    left: bool
    share: float


@dataclass(frozen=True)
class _Leaf:
    value: float
    path: tuple[_Step, ...]


@dataclass(frozen=True)
class TreeShapley:
    """Contributions to the raw score (log-odds, or logarithm of the mean), summed by group of inputs.

    ``base``: the raw score of nobody in particular. ``features`` and ``thresholds``: of every condition (byte by byte); the
    inputs stand there twice, with missing cells below and above everything. ``table``: (bytes x 256 patterns, groups).
    """

    base: float
    features: Whole
    thresholds: Floats
    table: Floats

    def contributions(self, matrix: Floats) -> Floats:
        """(customers x groups); ``base + contributions.sum(axis=1) = raw score`` to 1e-9.

        ``matrix`` is (customers x inputs), float64, NaN = missing, columns in the booster's order. A row's contributions
        depend on no other row.
        """
        found = np.empty((len(matrix), self.table.shape[1]))
        for start in range(0, len(matrix), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            found[rows] = self._looked_up(matrix[rows])
        return found

    def _looked_up(self, matrix: Floats) -> Floats:
        missing = np.isnan(matrix)
        cells = np.concatenate([np.where(missing, -np.inf, matrix), np.where(missing, np.inf, matrix)], axis=1)
        patterns = np.packbits(cells[:, self.features] <= self.thresholds, axis=1, bitorder="little")
        places = patterns + np.arange(0, len(self.table), 1 << CONDITIONS)
        found = self.table.take(places.T.ravel(), axis=0).reshape(places.shape[1], -1)
        # Byte after byte, for each row alike: so their number changes no rounding.
        total: Floats = np.add.reduce(found, axis=0)
        return total.reshape(len(matrix), -1)


def tree_shapley(booster: lgb.Booster, group_of_input: Sequence[int], groups: int) -> TreeShapley:
    """Make the tables of a booster: some tenths of a second, once for a model.

    ``group_of_input`` is the group (0 to ``groups - 1``) to which each input's contributions are added. Raises ValueError:
    a split or a depth of trees that ``fit_two_part`` never makes.
    """
    splits: list[_Split] = []
    trees = booster.dump_model()["tree_info"]
    leaves = [leaf for tree in trees for leaf in _leaves(tree["tree_structure"], (), splits)]
    base = sum(leaf.value * math.prod(step.share for step in leaf.path) for leaf in leaves)
    # A tree of nothing but one leaf says the same of everybody.
    leaves = [leaf for leaf in leaves if leaf.path]
    bytes_, byte_of_leaf = _packed(leaves)
    features, thresholds = _conditions(bytes_, splits, len(group_of_input))
    table = np.zeros((len(bytes_) << CONDITIONS, groups))
    if leaves:
        shape = _shape(leaves, [bytes_[number] for number in byte_of_leaf], splits)
        own, rows = _own_patterns(shape), (np.array(byte_of_leaf)[:, None] << CONDITIONS) + _PATTERNS
        for player, effect in enumerate(_product_shapley(*_game(shape))):
            group = np.asarray(group_of_input)[np.maximum(shape.feature[:, player], 0)]
            amounts = np.take_along_axis(shape.value[:, None] * effect, own, axis=1)
            table += np.bincount((rows * groups + group[:, None]).ravel(), amounts.ravel(), table.size).reshape(table.shape)
    return TreeShapley(base, features, thresholds, table)


@dataclass(frozen=True)
class _Shape:
    """The paths of all leaves as arrays (leaves x longest path).

    Shorter paths end in conditions that always hold, each of a feature of its own (below 0): these contribute nothing.
    """

    value: Floats
    feature: Whole
    share: Floats
    bit: Whole
    left: Whole
    real: npt.NDArray[np.bool_]


_PATTERNS = np.arange(1 << CONDITIONS)


def _leaves(node: Mapping[str, Any], path: tuple[_Step, ...], splits: list[_Split]) -> Iterator[_Leaf]:
    if "leaf_value" in node:
        yield _Leaf(float(node["leaf_value"]), path)
        return
    place = len(splits)
    splits.append(_split(node))
    for left, child in ((True, node["left_child"]), (False, node["right_child"])):
        step = _Step(place, left, _rows(child) / _rows(node))
        yield from _leaves(child, (*path, step), splits)


def _split(node: Mapping[str, Any]) -> _Split:
    if node["decision_type"] != "<=" or node["missing_type"] not in ("None", "NaN"):
        raise ValueError(f"a split by {node['decision_type']} with missing values as {node['missing_type']} is not known here")
    threshold = float(node["threshold"])
    # Where training saw no missing cell, LightGBM takes one for 0.
    missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
    return _Split(int(node["split_feature"]), threshold, missing_left)


def _rows(node: Mapping[str, Any]) -> int:
    return int(node["leaf_count"] if "leaf_value" in node else node["internal_count"])


def _packed(leaves: Sequence[_Leaf]) -> tuple[list[dict[int, int]], list[int]]:
    """Bytes of conditions (split: its bit), and the byte that each leaf is looked up by."""
    bytes_: list[dict[int, int]] = [{}]
    byte_of_leaf = []
    for leaf in leaves:
        wanted = dict.fromkeys([*bytes_[-1], *(step.split for step in leaf.path)])
        if len(wanted) > CONDITIONS:
            wanted = dict.fromkeys(step.split for step in leaf.path)
            bytes_.append({})
        if len(wanted) > CONDITIONS:
            raise ValueError(f"a tree is {len(leaf.path)} splits deep, at most {CONDITIONS} can be explained")
        bytes_[-1] = {split: bit for bit, split in enumerate(wanted)}
        byte_of_leaf.append(len(bytes_) - 1)
    return bytes_, byte_of_leaf


def _conditions(bytes_: Sequence[Mapping[int, int]], splits: Sequence[_Split], inputs: int) -> tuple[Whole, Floats]:
    features = np.zeros(len(bytes_) * CONDITIONS, dtype=np.intp)
    thresholds = np.full(len(bytes_) * CONDITIONS, -np.inf)
    for number, bits in enumerate(bytes_):
        for place, bit in bits.items():
            split = splits[place]
            features[number * CONDITIONS + bit] = split.feature + (0 if split.missing_left else inputs)
            thresholds[number * CONDITIONS + bit] = split.threshold
    return features, thresholds


def _shape(leaves: Sequence[_Leaf], bits: Sequence[Mapping[int, int]], splits: Sequence[_Split]) -> _Shape:
    longest = max(len(leaf.path) for leaf in leaves)

    def padded(cells: Callable[[_Leaf, Mapping[int, int]], list[Any]], filler: Sequence[Any]) -> npt.NDArray[Any]:
        own = (cells(leaf, of_byte) for leaf, of_byte in zip(leaves, bits, strict=True))
        return np.array([[*row, *filler[len(row) :]] for row in own])

    return _Shape(
        value=np.array([leaf.value for leaf in leaves]),
        feature=padded(lambda leaf, _: [splits[step.split].feature for step in leaf.path], range(-1, -1 - longest, -1)),
        share=padded(lambda leaf, _: [step.share for step in leaf.path], [1.0] * longest),
        bit=padded(lambda leaf, of_byte: [of_byte[step.split] for step in leaf.path], [0] * longest),
        left=padded(lambda leaf, _: [int(step.left) for step in leaf.path], [0] * longest),
        real=padded(lambda leaf, _: [True for _ in leaf.path], [False] * longest),
    )


def _own_patterns(shape: _Shape) -> Whole:
    """For each leaf (rows) and pattern of its byte (columns): the pattern of the leaf's own conditions, by their places."""
    holds = ((_PATTERNS >> shape.bit[:, :, None] & 1) == shape.left[:, :, None]) & shape.real[:, :, None]
    return np.asarray((holds << np.arange(holds.shape[1])[:, None]).sum(axis=1))


def _game(shape: _Shape) -> tuple[Floats, Floats]:
    """What each feature of a path brings (players x leaves x own patterns), and its share of rows (players x leaves x 1).

    A feature that comes back on the path is one player, in the place where it comes first.
    """
    players = np.arange(shape.feature.shape[1])
    holds = (np.arange(1 << len(players)) >> players[:, None] & 1).astype(bool) | ~shape.real[:, :, None]
    first = (shape.feature[:, :, None] == shape.feature[:, None, :]).argmax(axis=2)
    has = [(holds | (first != player)[:, :, None]).all(axis=1) for player in players]
    share = [np.where(first == player, shape.share, 1.0).prod(axis=1) for player in players]
    return np.array(has, dtype=np.float64), np.array(share)[:, :, None]


def _product_shapley(has: Floats, share: Floats) -> Iterator[Floats]:
    """Shapley value of each player; a coalition is worth the product of its members' ``has`` and of the others' ``share``."""
    players = len(share)
    weights = [math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players) for size in range(players)]
    for player in range(players):
        # By size of the coalition of others: the sum of what they are worth.
        sums: list[Any] = [1.0]
        for other in range(players):
            if other != player:
                without, joined = [share[other] * one for one in sums], [has[other] * one for one in sums]
                sums = [without[0], *(a + b for a, b in zip(without[1:], joined[:-1], strict=True)), joined[-1]]
        yield (has[player] - share[player]) * sum(weight * one for weight, one in zip(weights, sums, strict=True))

"""The table of canonical orders of a whole history, made a range of customers at a time so that it needs little memory.

Everything netting does stays within a customer, and ranges follow one another in the order of ids: the pieces put
together are the whole, sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Literal

import narwhals as nw

from features.engine import Workbench, literal, quoted, relation_of
from features.netting import canonical, has_purchase_before, is_zero_order, net_days, sum_lines, with_history

ROWS_AT_A_TIME = 2_000_000
_SAMPLE_ROWS = 20_000
_ZERO_KEY = ("customer_id", "order_day", "order_id")
_ORPHAN_KEY = ("customer_id", "order_day")


class OrderTable:
    """Canonical orders sorted by (customer_id, order_day, order_id), and what netting refused.

    ``zero_orders`` and ``orphan_days`` are tables of the keys of refused orders: orders that cost nothing where these are
    rejected, and days whose refunds came before any purchase.
    """

    def __init__(
        self,
        bench: Workbench,
        rows: str,
        count: int,
        *,
        zero_amount_orders: Literal["purchase", "reject"],
        rows_at_a_time: int = ROWS_AT_A_TIME,
    ) -> None:
        self._bench, self._zero_rule = bench, zero_amount_orders
        self._before = self._hashes = 0
        self.orders, self.zero_orders, self.orphan_days = "", "", ""
        for condition in _ranges(bench, rows, -(-count // rows_at_a_time)):
            self._add(f"SELECT * FROM ({rows}){condition}")

    def frame(self) -> nw.LazyFrame[Any]:
        """The orders."""
        return self._bench.frame(f"FROM {self.orders}")

    def facts(self) -> dict[str, Any]:
        """The fields of the cleaning report that are about orders."""
        # Of the purchases after the first day of their customer, exactly one has the first day as its previous one.
        second = "amount >= 0 AND order_day > first_order_day AND previous_order_day = first_order_day"
        [(orders, refunds, customers, repeaters, first, last)] = self._bench.run(
            "SELECT count(*) FILTER (amount >= 0), count(*) FILTER (amount < 0), "
            "count(*) FILTER (amount >= 0 AND previous_order_day IS NULL), "
            f"count(*) FILTER ({second}), coalesce(min(order_day), 0), coalesce(max(order_day), 0) FROM {self.orders}"
        )
        return {
            "orders": orders,
            "refunds": refunds,
            "cancelled_same_day": self._before - orders,
            "customers": customers,
            "first_order_day": first,
            "last_order_day": last,
            "one_time_share": (customers - repeaters) / customers if customers else 0.0,
            "fingerprint": self._fingerprint(orders + refunds),
        }

    def _add(self, rows: str) -> None:
        """Net the rows of some customers and append what comes of them."""
        bench, reject_zero = self._bench, self._zero_rule == "reject"
        summed = self._store(sum_lines(bench.frame(rows)), "summed")
        lines = bench.frame(f"FROM {summed}")
        netted = self._store(with_history(net_days(lines, zero_amount_orders=self._zero_rule)), "netted")
        orders = bench.frame(f"FROM {netted}")
        zeros = lines.filter(is_zero_order()) if reject_zero else lines.head(0)
        self.zero_orders = self._store(zeros.select(*_ZERO_KEY), "zero_orders", self.zero_orders)
        orphans = orders.filter(~has_purchase_before()).select(*_ORPHAN_KEY)
        self.orphan_days = self._store(orphans, "orphan_days", self.orphan_days)
        chosen = canonical(orders).sort("customer_id", "order_day", "order_id")
        self.orders = self._store(chosen, "orders", self.orders)
        counted = "WHERE _units >= 0" + (" AND (_units != 0 OR _refund_lines != 0)" if reject_zero else "")
        self._before += bench.count(f"{summed} {counted}")
        self._add_hashes(netted)
        bench.drop(summed, netted)

    def _store(self, frame: nw.LazyFrame[Any], name: str, table: str = "") -> str:
        """Store a frame in a fresh table, or append it to one that is there."""
        view = self._bench.view(relation_of(frame), f"{name}_query")
        if table:
            self._bench.run(f"INSERT INTO {table} FROM {view}")
        else:
            table = self._bench.table(f"FROM {view}", name)
        self._bench.run(f"DROP VIEW {view}")
        return table

    def _add_hashes(self, netted: str) -> None:
        """Add a hash of every order to a sum, which does not depend on the order of the orders."""
        known = ("customer_id", "order_id", "ordered_at", "order_day", "first_order_day", "previous_order_day")
        names = self._bench.relation(f"FROM {netted}").columns
        attributes = [quoted(name) for name in sorted(names) if name not in known and not name.startswith("_")]
        cells = ["customer_id", "order_id", "epoch_us(ordered_at)", "_units", "CASE WHEN _item_lines > 0 THEN _item_units END"]
        texts = [f"coalesce(CAST({cell} AS VARCHAR), chr(0))" for cell in (*cells, *attributes)]
        [(added,)] = self._bench.run(
            f"SELECT sum(CAST(md5_number_lower(concat_ws(chr(31), {', '.join(texts)})) AS HUGEINT)) "
            f"FROM {netted} WHERE first_order_day <= order_day"
        )
        self._hashes += int(added or 0)

    def _fingerprint(self, rows: int) -> str:
        columns = self.frame().collect_schema().names()
        return sha256(repr((columns, rows, self._hashes)).encode()).hexdigest()


def _ranges(bench: Workbench, rows: str, parts: int) -> Iterator[str]:
    """Conditions that cut the customers into about ``parts`` equal ranges, lowest ids first."""
    limits: list[str] = []
    if parts > 1:
        sample = bench.run(f"SELECT customer_id FROM ({rows}) USING SAMPLE reservoir({_SAMPLE_ROWS} ROWS) REPEATABLE (1)")
        ids = sorted(one for (one,) in sample)
        limits = sorted({ids[len(ids) * part // parts] for part in range(1, parts)})
    for low, high in zip([None, *limits], [*limits, None], strict=True):
        bounds = [f"customer_id {sign} {literal(bound)}" for sign, bound in ((">=", low), ("<", high)) if bound is not None]
        yield f" WHERE {' AND '.join(bounds)}" if bounds else ""

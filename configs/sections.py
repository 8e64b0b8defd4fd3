"""The sections of a settings file: what each key holds, its bounds and its default.

``configs.settings`` puts them together and reads them; every key is explained in ``configs/reference.yaml``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from configs.change_kinds import CHANGE_KINDS, ChangeKind
from configs.webhook_address import check_webhook_address

# Strict: YAML's true would else be the number 1, and a quoted number would be one too.
Share = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
Days = Annotated[int, Field(strict=True, ge=1, le=36500)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Sql = Annotated[str, Field(min_length=1, max_length=4000)]
Seconds = Annotated[float, Field(strict=True, ge=0.1, le=3600.0)]
Amount = Annotated[float, Field(strict=True, ge=0.0, le=1e12)]
LifecycleStage = Literal["new", "active", "dormant", "lost"]
RequestsPerSecond = Annotated[float, Field(strict=True, ge=1.0, le=100_000.0)]

MOST_HELD_OUT = 0.5
"""Share of a list that may be held out: above it, more would be left alone than contacted."""

HOST_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){HOST_LABEL}(\.{HOST_LABEL})*")

BUILT_IN_REASONS = (
    "unreadable_line",
    "no_customer_id",
    "bad_ordered_at",
    "bad_amount",
    "bad_items",
    "in_the_future",
    "other_currency",
    "zero_amount",
    "refund_without_purchase",
)
"""Why a row is rejected, besides the rules of ``cleaning.reject``; a row has the first reason that applies."""


class Section(BaseModel):
    """Frozen, and unknown keys, infinities and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Csv(Section):
    """How the CSV files are written. Nothing of it is guessed."""

    delimiter: Annotated[str, Field(min_length=1, max_length=4)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    header: bool = True
    column_names: tuple[Name, ...] | None = None
    skip_lines: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    decimal_sign: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _names_stand_in_for_a_header(self) -> Csv:
        if self.header and self.column_names is not None:
            raise ValueError("column_names are for files without a header: set header: false, or leave them out")
        if not self.header and self.column_names is None:
            raise ValueError("a file without a header needs column_names")
        return self


class Source(Section):
    """Where the transactions are: files by ``path``, or a database by ``url`` with ``table`` or ``query``."""

    path: Annotated[str, Field(min_length=1)] | None = None
    format: Literal["csv", "parquet"] | None = None
    csv: Csv = Csv()
    url: str | None = Field(default=None, repr=False)
    table: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path (files) or url (a database), not both and not neither")
        if self.url is not None and (self.table is None) == (self.query is None):
            raise ValueError("a database url needs either table or query")
        if self.url is None and (self.table is not None or self.query is not None):
            raise ValueError("table and query belong to a database url")
        return self


class Columns(Section):
    """Canonical column = SQL expression over the raw columns. A raw name with blanks is written in double quotes."""

    customer_id: Sql
    ordered_at: Sql
    amount: Sql
    order_id: Sql | None = None
    items: Sql | None = None
    currency: Sql | None = None


class Cleaning(Section):
    """Which raw rows count, and how."""

    date_format: Annotated[str, Field(min_length=1)] | None = None
    whole_float_ids: Literal["keep", "drop_point_zero"] = "keep"
    exact_duplicates: Literal["drop", "keep"] = "drop"
    duplicates_ignore: tuple[Name, ...] = ()
    zero_amount_orders: Literal["purchase", "reject"] = "purchase"
    reject: dict[Name, Sql] = Field(default_factory=dict)
    max_rejected_share: Share = 0.05

    @field_validator("reject")
    @classmethod
    def _rules_have_their_own_names(cls, rules: dict[str, str]) -> dict[str, str]:
        if clash := sorted(set(BUILT_IN_REASONS) & rules.keys()):
            raise ValueError(f"{', '.join(clash)}: a built-in reason; give the rule another name")
        return rules


class TierPolicy(Section):
    """What all ways to make tiers share: how far, and after how long, a customer of an earlier scoring run moves.

    ``hysteresis``: share by which the value must cross a threshold; ``minimum_stay_days``: days before a downgrade.
    """

    hysteresis: Annotated[float, Field(strict=True, ge=0.0, le=0.9)] = 0.10
    minimum_stay_days: Annotated[int, Field(strict=True, ge=0, le=36500)] = 0


class TierShares(TierPolicy):
    """Tiers by share of customers, best first; the last tier takes the rest."""

    method: Literal["shares"] = "shares"
    shares: dict[Name, Share] = Field(default_factory=lambda: {"Platinum": 0.05, "Gold": 0.15, "Silver": 0.30})
    rest: Name = "Bronze"

    @model_validator(mode="after")
    def _shares_leave_a_rest(self) -> TierShares:
        if not self.shares or sum(self.shares.values()) >= 1.0 or min(self.shares.values()) <= 0.0:
            raise ValueError("shares must be above 0 and sum to less than 1: the rest goes to the last tier")
        if self.rest in self.shares:
            raise ValueError(f'the tier "{self.rest}" is named twice')
        return self


class TierLimits(TierPolicy):
    """Tiers by predicted value in the horizon, in the currency; a customer at the limit is in the tier."""

    method: Literal["limits"]
    limits: dict[Name, Annotated[float, Field(strict=True, gt=0.0)]]
    rest: Name = "Bronze"

    @model_validator(mode="after")
    def _limits_fall(self) -> TierLimits:
        values = list(self.limits.values())
        if not values or values != sorted(set(values), reverse=True):
            raise ValueError("limits must be listed best tier first, each lower than the one before")
        if self.rest in self.limits:
            raise ValueError(f'the tier "{self.rest}" is named twice')
        return self


class TierPareto(TierPolicy):
    """Tiers by cumulated share of predicted value: the best customers who hold the first 80 % of it, and the rest."""

    method: Literal["pareto"]
    value_shares: dict[Name, Share] = Field(default_factory=lambda: {"Core": 0.80})
    rest: Name = "Others"

    @model_validator(mode="after")
    def _shares_rise(self) -> TierPareto:
        if not self.value_shares or not 0.0 < sum(self.value_shares.values()) < 1.0 or min(self.value_shares.values()) <= 0.0:
            raise ValueError("value_shares must be above 0 and sum to less than 1: the rest goes to the last tier")
        if self.rest in self.value_shares:
            raise ValueError(f'the tier "{self.rest}" is named twice')
        return self


class Lifecycle(Section):
    """Limits of the lifecycle stages in days; ``None`` follows the horizon (see ``configs/reference.yaml``)."""

    new_days: Days = 90
    active_days: Days | None = None
    lost_days: Days | None = None

    @model_validator(mode="after")
    def _stages_follow_each_other(self) -> Lifecycle:
        if self.active_days is not None and self.lost_days is not None and self.lost_days <= self.active_days:
            raise ValueError(
                f"lost_days must be above active_days, found {self.lost_days} and {self.active_days}: "
                "between them a customer is dormant"
            )
        return self


class Training(Section):
    """How the models are fitted."""

    cutoff_step_days: Days = 30
    max_cutoffs: Annotated[int, Field(strict=True, ge=1, le=240)] = 36
    min_history_days: Days = 90
    max_rows: Annotated[int, Field(strict=True, ge=1000, le=1_000_000_000)] = 1_000_000
    boosting_rounds: Annotated[int, Field(strict=True, ge=10, le=5000)] = 150
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] = 20260101
    threads: Annotated[int, Field(strict=True, ge=1, le=256)] = 2
    memory_gb: Annotated[float, Field(strict=True, ge=0.25, le=4096.0)] = 2.0


class Scoring(Section):
    """How scoring runs are kept."""

    keep_runs: Annotated[int, Field(strict=True, ge=1, le=10000)] = 12
    risk_bands: dict[Name, Share] = Field(default_factory=lambda: {"high": 0.70, "medium": 0.40, "low": 0.0})

    @field_validator("risk_bands")
    @classmethod
    def _bands_fall_to_zero(cls, bands: dict[str, float]) -> dict[str, float]:
        limits = list(bands.values())
        if not limits or limits != sorted(set(limits), reverse=True) or limits[-1] != 0.0:
            raise ValueError("risk_bands must be listed highest first, each lower than the one before, and end at 0")
        return bands


class Lists(Section):
    """What holds for every contact list that is not asked for otherwise.

    ``gone_stages``: customers in them count as already gone. ``save_rate``: share of those about to leave whom a contact keeps.
    ``budget_per_contact`` and ``min_value`` in the currency. ``holdout``: share of a list that is drawn not to be contacted.
    """

    gone_stages: tuple[LifecycleStage, ...] = ("lost",)
    save_rate: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] = 0.10
    budget_per_contact: Amount = 0.0
    min_value: Amount = 0.0
    holdout: Annotated[float, Field(strict=True, ge=0.0, le=MOST_HELD_OUT)] = 0.0
    holdout_seed: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] = 20260101


class Gate(Section):
    """What a model may cost to become champion."""

    max_bundle_mb: Annotated[float, Field(strict=True, gt=0.0, le=100_000.0)] = 50.0
    max_latency_ms: Annotated[float, Field(strict=True, gt=0.0, le=3_600_000.0)] = 100.0


class Serving(Section):
    """What the HTTP service takes: from which names, how much, how fast, and how long it waits."""

    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: Annotated[int, Field(strict=True, ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    max_concurrent_requests: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 512
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 20.0
    request_seconds: Seconds = 60.0
    requests_per_second: RequestsPerSecond | None = None

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names_alone(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(host.lower() for host in hosts)
        if odd := [host for host in lowered if not HOST_NAME.fullmatch(host)]:
            raise ValueError(
                f'"{odd[0]}" is no host name: write it as in a URL, without scheme, port or *, such as scores.shop.example'
            )
        return lowered


class Webhook(Section):
    """Where the changes between two scoring runs are sent to, which of them, and how long it is tried."""

    url: Annotated[str, Field(max_length=2000)] | None = None
    timeout_seconds: Seconds = 10.0
    attempts: Annotated[int, Field(strict=True, ge=1, le=20)] = 6
    kinds: Annotated[tuple[ChangeKind, ...], Field(min_length=1)] = CHANGE_KINDS

    @field_validator("url")
    @classmethod
    def _nothing_goes_in_clear(cls, url: str | None) -> str | None:
        if url is not None:
            check_webhook_address(url)
        return url

    @field_validator("kinds")
    @classmethod
    def _each_kind_once(cls, kinds: tuple[ChangeKind, ...]) -> tuple[ChangeKind, ...]:
        return tuple(kind for kind in CHANGE_KINDS if kind in kinds)

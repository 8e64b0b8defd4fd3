"""The settings of one data source: frozen, typed, and refused when a key is unknown.

This module is the only reader of settings files and of environment variables. Every key, with its unit and default, is
listed in ``configs/reference.yaml``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from configs.errors import SettingsError, nearest

DEFAULT_FILE = "foretier.yaml"
HORIZON_CHOICES = (365, 180, 90, 30)

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Days = Annotated[int, Field(ge=1, le=36500)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Sql = Annotated[str, Field(min_length=1, max_length=4000)]

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


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key given twice is an error, not silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.MarkedYAMLError(problem=f"the key {', '.join(twice)} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep=deep)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Csv(_Frozen):
    """How the CSV files are written. Nothing of it is guessed."""

    delimiter: Annotated[str, Field(min_length=1, max_length=4)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    header: bool = True
    column_names: tuple[Name, ...] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    decimal_sign: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _names_stand_in_for_a_header(self) -> Csv:
        if self.header and self.column_names is not None:
            raise ValueError("column_names are for files without a header: set header: false, or leave them out")
        if not self.header and self.column_names is None:
            raise ValueError("a file without a header needs column_names")
        return self


class Source(_Frozen):
    """Where the transactions are: files by ``path``, or a database by ``url`` with ``table`` or ``query``."""

    path: str | None = None
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


class Columns(_Frozen):
    """Canonical column = SQL expression over the raw columns. A raw name with blanks is written in double quotes."""

    customer_id: Sql
    ordered_at: Sql
    amount: Sql
    order_id: Sql | None = None
    items: Sql | None = None
    currency: Sql | None = None


class Cleaning(_Frozen):
    """Which raw rows count, and how."""

    date_format: str | None = None
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


class TierShares(_Frozen):
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


class TierLimits(_Frozen):
    """Tiers by predicted value in the horizon, in the currency; a customer at the limit is in the tier."""

    method: Literal["limits"]
    limits: dict[Name, Annotated[float, Field(gt=0.0)]]
    rest: Name = "Bronze"

    @model_validator(mode="after")
    def _limits_fall(self) -> TierLimits:
        values = list(self.limits.values())
        if not values or values != sorted(set(values), reverse=True):
            raise ValueError("limits must be listed best tier first, each lower than the one before")
        if self.rest in self.limits:
            raise ValueError(f'the tier "{self.rest}" is named twice')
        return self


class TierPareto(_Frozen):
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


class Lifecycle(_Frozen):
    """Limits of the lifecycle stages in days; ``None`` follows the horizon (see ``configs/reference.yaml``)."""

    new_days: Days = 90
    active_days: Days | None = None
    lost_days: Days | None = None


class Training(_Frozen):
    """How the models are fitted."""

    cutoff_step_days: Days = 30
    max_cutoffs: Annotated[int, Field(ge=1, le=240)] = 24
    min_history_days: Days = 90
    max_rows: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 1_000_000
    boosting_rounds: Annotated[int, Field(ge=10, le=5000)] = 150
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 20260101
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    memory_gb: Annotated[float, Field(ge=0.25, le=4096.0)] = 2.0


class Scoring(_Frozen):
    """How scoring runs are kept."""

    keep_runs: Annotated[int, Field(ge=1, le=10000)] = 12
    risk_bands: dict[Name, Share] = Field(default_factory=lambda: {"high": 0.70, "medium": 0.40, "low": 0.0})

    @field_validator("risk_bands")
    @classmethod
    def _bands_fall_to_zero(cls, bands: dict[str, float]) -> dict[str, float]:
        limits = list(bands.values())
        if not limits or limits != sorted(set(limits), reverse=True) or limits[-1] != 0.0:
            raise ValueError("risk_bands must be listed highest first, each lower than the one before, and end at 0")
        return bands


Stage = Literal["new", "active", "dormant", "lost", "any"]

DEFAULT_PLAYBOOK: dict[str, dict[Stage, str]] = {
    "Platinum": {
        "new": "Personal welcome from a named contact",
        "active": "Thank in person; early access, no discount",
        "dormant": "Call within two days; ask what went wrong",
        "lost": "Personal win-back offer from a named contact",
    },
    "Gold": {
        "new": "Welcome series with a second-order incentive",
        "active": "Invite to the loyalty programme",
        "dormant": "Personal e-mail with a time-limited offer",
        "lost": "Win-back offer by post or phone",
    },
    "Silver": {
        "new": "Welcome series with product advice",
        "active": "Recommend what goes with the last order",
        "dormant": "Reminder e-mail with a small offer",
        "lost": "Win-back e-mail",
    },
    "any": {"new": "Welcome series", "active": "Newsletter", "dormant": "Reminder e-mail", "lost": "No paid contact"},
}


class Settings(_Frozen):
    """Everything a run depends on, besides its input and its dates."""

    source: Source
    columns: Columns
    attributes: dict[Name, Sql] = Field(default_factory=dict)
    cleaning: Cleaning = Cleaning()
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    time_zone: str = "UTC"
    horizon_days: Literal["auto"] | Days = "auto"
    tiers: Annotated[TierShares | TierLimits | TierPareto, Field(discriminator="method")] = TierShares()
    lifecycle: Lifecycle = Lifecycle()
    playbook: dict[Name, dict[Stage, str]] = Field(default_factory=lambda: DEFAULT_PLAYBOOK)
    training: Training = Training()
    scoring: Scoring = Scoring()

    @model_validator(mode="before")
    @classmethod
    def _shares_are_the_default_policy(cls, raw: Any) -> Any:
        tiers = raw.get("tiers") if isinstance(raw, Mapping) else None
        if isinstance(tiers, Mapping) and "method" not in tiers:
            return {**raw, "tiers": {"method": "shares", **tiers}}
        return raw

    @model_validator(mode="after")
    def _playbook_knows_the_tiers(self) -> Settings:
        known = (*self.tier_names, "any")
        odd = [tier for tier in self.playbook if tier not in known] if "playbook" in self.model_fields_set else []
        if odd:
            raise ValueError(f'the playbook names the tier "{odd[0]}", which there is not; {nearest(odd[0], known)}')
        return self

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f'"{name}" is no IANA time zone; {nearest(name, sorted(available_timezones()))}')
        return name

    @field_validator("attributes")
    @classmethod
    def _attributes_do_not_hide_columns(cls, attributes: dict[str, str]) -> dict[str, str]:
        reserved = {*Columns.model_fields, "order_day", "first_order_day", "previous_order_day", "spend_before"}
        lowered = [name.lower() for name in attributes]
        if clash := sorted(reserved & set(lowered)):
            raise ValueError(f"{', '.join(clash)}: a canonical column; give the attribute another name")
        if odd := [name for name in attributes if not re.fullmatch(r"[A-Za-z]\w*", name)]:
            raise ValueError(f"{', '.join(odd)}: an attribute's name begins with a letter and holds letters, digits and _")
        if len(set(lowered)) < len(lowered):
            raise ValueError("two attributes differ only in case; give them names of their own")
        return attributes

    def without_secrets(self) -> dict[str, Any]:
        """Plain values for logs and bundles: all keys, the password of a database address left out."""
        plain = self.model_dump(mode="json")
        if self.source.url is not None:
            from sqlalchemy.engine import make_url

            plain["source"]["url"] = make_url(self.source.url).render_as_string(hide_password=True)
        return plain

    @property
    def zone(self) -> ZoneInfo:
        """The business time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def tier_names(self) -> tuple[str, ...]:
        """All tiers, best first."""
        match self.tiers:
            case TierShares(shares=named) | TierLimits(limits=named) | TierPareto(value_shares=named):
                return (*named, self.tiers.rest)


class Environment(_Frozen):
    """What comes from environment variables: secrets and addresses, never behaviour."""

    home: Path
    store_url: str = Field(repr=False)
    tracking_url: str = Field(repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Environment:
        """Read ``FORETIER_HOME``, ``FORETIER_STORE_URL`` and ``MLFLOW_TRACKING_URI``; unset ones live in the home folder."""
        variables = os.environ if variables is None else variables
        home = Path(variables.get("FORETIER_HOME") or ".foretier").absolute()
        return cls(
            home=home,
            store_url=variables.get("FORETIER_STORE_URL") or f"sqlite:///{home / 'scores.db'}",
            tracking_url=variables.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
        )


def settings_file(given: Path | None, variables: Mapping[str, str] | None = None) -> Path:
    """The settings file to read: the one given, else ``$FORETIER_CONFIG``, else ``foretier.yaml`` in this folder."""
    variables = os.environ if variables is None else variables
    return given or Path(variables.get("FORETIER_CONFIG") or DEFAULT_FILE)


def load_settings(path: Path, *, orders: str | None = None, variables: Mapping[str, str] | None = None) -> Settings:
    """Read one settings file.

    ``orders`` replaces the source by another path. ``${NAME}`` in ``source.url`` is read from the environment.

    Raises SettingsError: no such file, no YAML, an unknown key (the nearest known one is named), a value that does not fit.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise SettingsError(
            f"no settings file {path}: copy configs/reference.yaml to {DEFAULT_FILE} and edit it, or give --config FILE"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} must hold settings as key: value lines, found {type(raw).__name__}")
    if orders is not None:
        old = raw.get("source")
        csv = {"csv": old["csv"]} if isinstance(old, dict) and "csv" in old else {}
        raw["source"] = {**csv, "path": orders}
    return parse_settings(raw, where=str(path), variables=variables)


def parse_settings(raw: dict[str, Any], *, where: str, variables: Mapping[str, str] | None = None) -> Settings:
    """Check settings that are already a mapping; ``where`` names their origin in error messages."""
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        faults = dict.fromkeys(_explain(fault) for fault in error.errors())
        raise SettingsError(f"{where}: {'; '.join(list(faults)[:5])}") from None
    if settings.source.url is None:
        return settings
    url = _from_environment(settings.source.url, os.environ if variables is None else variables, where)
    return settings.model_copy(update={"source": settings.source.model_copy(update={"url": url})})


def source_path(path: str) -> str:
    """Resolve ``package:NAME/FILE`` to a file shipped inside an installed package; other paths stay as they are."""
    if not path.startswith("package:"):
        return path
    package, _, inside = path.removeprefix("package:").partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(f"source.path {path}: the package {package} is not installed; install it or give a file")
    return str(Path(spec.submodule_search_locations[0]) / inside)


def _from_environment(text: str, variables: Mapping[str, str], where: str) -> str:
    def value(match: re.Match[str]) -> str:
        try:
            return variables[match[1]]
        except KeyError:
            raise SettingsError(f"{where}: source.url needs the environment variable {match[1]}, which is not set") from None

    return re.sub(r"\$\{(\w+)\}", value, text)


def _explain(fault: Any) -> str:
    """One pydantic fault in words: the dotted key, what is wrong, the nearest known key."""
    location = _location(fault["loc"])
    if location == ["horizon_days"]:
        return f"horizon_days: expected auto, or a whole number of days from 1 to 36500{_found(fault)}"
    if fault["type"] == "missing":
        return f"{'.'.join(location)} is missing"
    if fault["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(location)}; {nearest(location[-1], _known_keys(fault['loc'][:-1]))}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{'.'.join(location) or 'settings'}: {message}" + _found(fault)


def _location(parts: tuple[str | int, ...]) -> list[str]:
    """The dotted key, without what pydantic adds: the method of the tiers, the branch of a union."""
    if parts[:1] == ("tiers",):
        parts = (parts[0], *parts[2:])
    elif parts[:1] == ("horizon_days",):
        parts = parts[:1]
    return [str(part) for part in parts if part != "[key]"]


def _found(fault: Any) -> str:
    found = fault.get("input")
    return f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    sections: dict[tuple[str | int, ...], type[BaseModel]] = {
        (): Settings, ("source",): Source, ("source", "csv"): Csv, ("columns",): Columns, ("cleaning",): Cleaning,
        ("tiers", "shares"): TierShares, ("tiers", "limits"): TierLimits, ("tiers", "pareto"): TierPareto,
        ("lifecycle",): Lifecycle, ("training",): Training, ("scoring",): Scoring,
    }  # fmt: skip
    section = sections.get(location)
    return list(section.model_fields) if section else []

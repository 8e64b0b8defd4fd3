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
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from configs.errors import SettingsError, nearest
from configs.language import Language
from configs.playbook import ANY, DEFAULT_PLAYBOOK, Play, Playbook
from configs.sections import (
    BUILT_IN_REASONS,
    Cleaning,
    Columns,
    Csv,
    Days,
    Gate,
    Lifecycle,
    Lists,
    Name,
    Scoring,
    Section,
    Serving,
    Source,
    Sql,
    TierLimits,
    TierPareto,
    TierShares,
    Training,
    Webhook,
)
from configs.webhook_address import webhook_host

__all__ = [
    "BUILT_IN_REASONS",
    "DEFAULT_FILE",
    "HORIZON_CHOICES",
    "Cleaning",
    "Columns",
    "Csv",
    "Environment",
    "Gate",
    "Lifecycle",
    "Lists",
    "Scoring",
    "Serving",
    "Settings",
    "Source",
    "TierLimits",
    "TierPareto",
    "TierShares",
    "Training",
    "Webhook",
    "load_settings",
    "parse_settings",
    "settings_file",
    "source_path",
]

DEFAULT_FILE = "foretier.yaml"
HORIZON_CHOICES = (365, 180, 90, 30)


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key given twice is an error, not silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (PyYAML's own)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.MarkedYAMLError(problem=f"the key {', '.join(twice)} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep=deep)


class Settings(Section):
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
    language: Language = "en"
    playbook: Playbook = DEFAULT_PLAYBOOK["en"]
    lists: Lists = Lists()
    training: Training = Training()
    gate: Gate = Gate()
    scoring: Scoring = Scoring()
    serving: Serving = Serving()
    webhook: Webhook = Webhook()

    @model_validator(mode="before")
    @classmethod
    def _shares_are_the_default_policy(cls, raw: Any) -> Any:
        tiers = raw.get("tiers") if isinstance(raw, Mapping) else None
        if isinstance(tiers, Mapping) and "method" not in tiers:
            return {**raw, "tiers": {"method": "shares", **tiers}}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _playbook_ships_in_the_language(cls, raw: Any) -> Any:
        shipped = DEFAULT_PLAYBOOK.get(raw.get("language", "en")) if isinstance(raw, Mapping) and "playbook" not in raw else None
        return raw if shipped is None or shipped is DEFAULT_PLAYBOOK["en"] else {**raw, "playbook": shipped}

    @model_validator(mode="after")
    def _playbook_knows_the_tiers(self) -> Settings:
        known = (*self.tier_names, ANY)
        given = "playbook" in self.model_fields_set and self.playbook not in DEFAULT_PLAYBOOK.values()
        odd = [play.tier for play in self.playbook if play.tier not in known] if given else []
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
        """Plain values for logs and bundles: all keys; of addresses no password, of the webhook the host alone."""
        plain = self.model_dump(mode="json")
        if self.source.url is not None:
            from configs.addresses import without_password

            plain["source"]["url"] = without_password(self.source.url)
        if self.webhook.url is not None:  # its path may be as good as a password
            plain["webhook"]["url"] = webhook_host(self.webhook.url)
        return plain

    def playbook_in(self, language: Language | None) -> Playbook:
        """The playbook: the one that ships in this language (None: that of the settings), or the settings' own as it is."""
        shipped = self.playbook in DEFAULT_PLAYBOOK.values()
        return DEFAULT_PLAYBOOK[language] if shipped and language is not None else self.playbook

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


class Environment(Section):
    """What comes from environment variables: secrets and addresses, never behaviour."""

    home: Path
    store_url: str = Field(repr=False)
    tracking_url: str = Field(repr=False)
    webhook_secret: str | None = Field(default=None, repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Environment:
        """Read ``FORETIER_HOME``, ``FORETIER_STORE_URL``, ``MLFLOW_TRACKING_URI`` and ``FORETIER_WEBHOOK_SECRET``.

        Addresses that are not set lie in the home folder; without a secret there is none.
        """
        variables = os.environ if variables is None else variables
        home = Path(variables.get("FORETIER_HOME") or ".foretier").absolute()
        return cls(
            home=home,
            store_url=variables.get("FORETIER_STORE_URL") or f"sqlite:///{home / 'scores.db'}",
            tracking_url=variables.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
            webhook_secret=variables.get("FORETIER_WEBHOOK_SECRET") or None,
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
        said = " ".join(str(error).replace(' in "<unicode string>",', " in").split())
        raise SettingsError(f"{path} is not valid YAML: {said}") from None
    if raw is None:
        raise SettingsError(f"{path} holds no settings: copy configs/reference.yaml over it and edit it")
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
    if fault["type"] == "union_tag_invalid":
        return f"tiers.method: expected shares, limits or pareto (found {fault['ctx']['tag']!r})"
    message = _EXPECTED.get(fault["type"]) or fault["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return f"{'.'.join(location) or 'settings'}: {message}" + _found(fault)


_EXPECTED = {
    "model_type": "expected keys of its own below it",
    "dict_type": "expected key: value lines below it",
    "tuple_type": "expected a list",
    "string_type": "expected text; in YAML, put it in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "expected three capital letters, such as EUR",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "invalid_key": "is no text; keys must be, so put it in quotes",
}
"""What was expected, by the name that pydantic gives a fault; where it is not here, pydantic's own words do."""


def _location(parts: tuple[str | int, ...]) -> list[str]:
    """The dotted key, without what pydantic adds: the method of the tiers, the branch of a union."""
    if parts[:1] == ("tiers",):
        parts = (parts[0], *parts[2:])
    elif parts[:1] == ("horizon_days",):
        parts = parts[:1]
    return [str(part) for part in parts if part != "[key]"]


def _found(fault: Any) -> str:
    found = None if fault["loc"][-1:] == ("url",) else fault.get("input")  # an address may hold a secret
    return f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    sections: dict[tuple[str | int, ...], type[BaseModel]] = {
        (): Settings, ("source",): Source, ("source", "csv"): Csv, ("columns",): Columns, ("cleaning",): Cleaning,
        ("tiers", "shares"): TierShares, ("tiers", "limits"): TierLimits, ("tiers", "pareto"): TierPareto,
        ("lifecycle",): Lifecycle, ("training",): Training, ("gate",): Gate, ("scoring",): Scoring,
        ("lists",): Lists, ("serving",): Serving, ("webhook",): Webhook,
    }  # fmt: skip
    section = Play if location[:1] == ("playbook",) else sections.get(location)
    return list(section.model_fields) if section else []

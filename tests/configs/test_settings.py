"""The contracts of a settings file: typed, frozen, every unknown key refused with the nearest known one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from configs.errors import SettingsError, nearest
from configs.settings import (
    Environment,
    Settings,
    TierLimits,
    TierPareto,
    load_settings,
    parse_settings,
    settings_file,
    source_path,
)

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))
LEAST: dict[str, Any] = {
    "source": {"path": "orders.csv"},
    "columns": {"customer_id": "c", "ordered_at": "t", "amount": "a"},
    "currency": "EUR",
}


def parsed(**more: Any) -> Settings:
    return parse_settings(LEAST | more, where="here", variables={})


def refused(**more: Any) -> str:
    with pytest.raises(SettingsError) as fault:
        parsed(**more)
    return str(fault.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_loads(path: Path) -> None:
    assert load_settings(path, variables={}).currency


class TestReference:
    text = (ROOT / "configs" / "reference.yaml").read_text(encoding="utf-8")
    required = ("source.path", "columns.customer_id", "columns.ordered_at", "columns.amount", "currency")

    def test_every_key_is_listed(self) -> None:
        missing = [key for key in keys_of(Settings) if not re.search(rf"(^\s*(# )?|[{{,] ?){key}:", self.text, re.MULTILINE)]
        assert missing == []

    def test_values_are_the_defaults(self) -> None:
        reference = parse_settings(yaml.safe_load(self.text), where="reference", variables={}).model_dump()
        default = parsed().model_dump()
        for key in self.required:
            *sections, last = key.split(".")
            for section in sections:
                reference[section], default[section] = dict(reference[section]), dict(default[section])
            inner, other = (reference[sections[0]], default[sections[0]]) if sections else (reference, default)
            other[last] = inner[last]
        assert reference == default

    def test_every_default_is_written_out(self) -> None:
        written = paths_of(yaml.safe_load(self.text))
        expected = paths_of(parsed().model_dump())
        assert expected - written <= {("source", "url"), ("source", "table"), ("source", "query")}


def keys_of(model: type[BaseModel]) -> set[str]:
    """The names of all fields, also of the sections, the alternatives of the tiers included."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= keys_of(kind)
    return found


def paths_of(tree: dict[str, Any], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    paths: set[tuple[str, ...]] = set()
    for key, value in tree.items():
        paths |= paths_of(value, (*above, key)) if isinstance(value, dict) and value else {(*above, key)}
    return paths


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"horizn_days": 90}, 'unknown key horizn_days; did you mean "horizon_days"?'),
            ({"source": {"path": "x", "csv": {"delimeter": ";"}}}, 'source.csv.delimeter; did you mean "delimiter"?'),
            ({"cleaning": {"max_rejected": 0.1}}, 'cleaning.max_rejected; did you mean "max_rejected_share"?'),
            ({"tiers": {"sharess": {}}}, 'tiers.sharess; did you mean "shares"?'),
            ({"tiers": {"method": "limits", "limits": {"A": 1}, "limit": 2}}, 'tiers.limit; did you mean "limits"?'),
            ({"training": {"thread": 2}}, 'training.thread; did you mean "threads"?'),
            ({"scoring": {"zzz": 2}}, "scoring.zzz; known: keep_runs, risk_bands"),
            ({"serving": {"max_body": 2}}, 'serving.max_body; did you mean "max_body_bytes"?'),
        ],
    )
    def test_the_nearest_known_key_is_named(self, more: dict[str, Any], said: str) -> None:
        assert said in refused(**more)

    def test_several_faults_are_told_at_once(self) -> None:
        message = refused(curency="EUR", currency="euro", training={"threads": 0})
        assert all(part in message for part in ("curency", "currency:", "training.threads"))


class TestValues:
    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"source": {}}, "either path (files) or url"),
            ({"source": {"path": "x", "url": "sqlite:///x", "table": "t"}}, "either path (files) or url"),
            ({"source": {"url": "sqlite:///x"}}, "either table or query"),
            ({"source": {"path": "x", "table": "t"}}, "belong to a database url"),
            ({"source": {"path": "x", "csv": {"header": False}}}, "needs column_names"),
            ({"source": {"path": "x", "csv": {"column_names": ["a"]}}}, "without a header"),
            ({"time_zone": "Europe/Londn"}, 'did you mean "Europe/London"?'),
            ({"horizon_days": 90.5}, "horizon_days: expected auto, or a whole number of days"),
            ({"horizon_days": 0}, "horizon_days: expected auto"),
            ({"currency": "eur"}, "currency"),
            ({"cleaning": {"max_rejected_share": float("nan")}}, "finite number"),
            ({"cleaning": {"reject": {"bad_amount": "a < 0"}}}, "built-in reason"),
            ({"attributes": {"Amount": "x"}}, "canonical column"),
            ({"attributes": {"spend_before": "x"}}, "canonical column"),
            ({"attributes": {"_x": "x"}}, "begins with a letter"),
            ({"attributes": {"shop": "x", "Shop": "y"}}, "differ only in case"),
            ({"tiers": {"shares": {"A": 0.5, "B": 0.5}}}, "less than 1"),
            ({"tiers": {"shares": {"Bronze": 0.5}}}, "named twice"),
            ({"tiers": {"method": "limits", "limits": {"A": 1, "B": 2}}}, "each lower than the one before"),
            ({"tiers": {"method": "limits", "limits": {"A": float("inf")}}}, "finite number"),
            ({"tiers": {"method": "best"}}, "tiers.method: expected shares, limits or pareto (found 'best')"),
            ({"horizon_days": True}, "horizon_days: expected auto"),
            ({"training": {"threads": True}}, "training.threads: expected a whole number (found True)"),
            ({"training": {"seed": "7"}}, "training.seed: expected a whole number (found '7')"),
            ({"cleaning": {"max_rejected_share": True}}, "cleaning.max_rejected_share: expected a number"),
            ({"currency": "euro"}, "currency: expected three capital letters, such as EUR (found 'euro')"),
            ({"currency": False}, "currency: expected text; in YAML, put it in quotes (found False)"),
            ({"source": None}, "source: expected keys of its own below it"),
            ({"source": {"path": ""}}, "source.path: must not be empty"),
            ({"cleaning": {"date_format": ""}}, "cleaning.date_format: must not be empty"),
            ({"cleaning": {"duplicates_ignore": "x"}}, "cleaning.duplicates_ignore: expected a list (found 'x')"),
            ({"playbook": {"Gold": "x"}}, "playbook: expected a list"),
            ({"lifecycle": {"active_days": 90, "lost_days": 90}}, "lost_days must be above active_days, found 90 and 90"),
            ({"scoring": {"risk_bands": {"high": 0.7}}}, "end at 0"),
            (
                {"serving": {"max_body_bytes": 1023}},
                "serving.max_body_bytes: should be greater than or equal to 1024 (found 1023)",
            ),
            ({"serving": {"max_concurrent_requests": 0}}, "serving.max_concurrent_requests: should be greater"),
            ({"serving": {"body_seconds": 0}}, "serving.body_seconds: should be greater than or equal to 0.1"),
            ({"serving": {"requests_per_second": 0.5}}, "serving.requests_per_second: should be greater than or equal to 1"),
            ({"serving": {"allowed_hosts": "shop.example"}}, "serving.allowed_hosts: expected a list"),
            ({"serving": {"allowed_hosts": ["shop.example:3000"]}}, '"shop.example:3000" is no host name'),
            ({"serving": {"allowed_hosts": ["*.shop.example"]}}, "without scheme, port or *"),
            ({"serving": {"allowed_hosts": ["http://shop.example"]}}, "is no host name"),
            ({"serving": {"allowed_hosts": [""]}}, "is no host name"),
            ({"playbook": [{"tier": "Gld", "action": "x"}]}, 'did you mean "Gold"?'),
            ({"playbook": [{"stage": "actve", "action": "x"}]}, "playbook.0.stage"),
        ],
    )
    def test_what_does_not_fit_is_explained(self, more: dict[str, Any], said: str) -> None:
        message = refused(**more)
        assert said in message
        assert message.startswith("here: ")
        assert "\n" not in message

    def test_missing_keys_are_named(self) -> None:
        with pytest.raises(SettingsError, match="columns is missing; currency is missing"):
            parse_settings({"source": {"path": "x"}}, where="here")

    def test_host_names_are_kept_in_small_letters(self) -> None:
        hosts = ["Scores.Shop.Example", "foretier_1", "xn--bcher-kva.example"]
        assert parsed(serving={"allowed_hosts": hosts}).serving.allowed_hosts == tuple(host.lower() for host in hosts)

    def test_tiers_default_to_shares(self) -> None:
        assert parsed().tier_names == ("Platinum", "Gold", "Silver", "Bronze")
        assert parsed(tiers={"shares": {"Top": 0.1}, "rest": "Low"}).tier_names == ("Top", "Low")

    def test_tier_names_of_every_method(self) -> None:
        limits = parsed(tiers={"method": "limits", "limits": {"A": 100, "B": 10}})
        pareto = parsed(tiers={"method": "pareto"})
        assert isinstance(limits.tiers, TierLimits)
        assert isinstance(pareto.tiers, TierPareto)
        assert limits.tier_names == ("A", "B", "Bronze")
        assert pareto.tier_names == ("Core", "Others")

    def test_settings_are_frozen(self) -> None:
        settings = parsed()
        with pytest.raises(ValidationError, match="frozen"):
            settings.currency = "USD"  # type: ignore[misc]
        with pytest.raises(ValidationError, match="frozen"):
            settings.cleaning.max_rejected_share = 1.0  # type: ignore[misc]

    def test_secrets_are_not_shown(self) -> None:
        settings = parsed(source={"url": "postgresql+psycopg://u:secret@h/d", "table": "t"})
        assert "secret" not in repr(settings)


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"no settings file .*reference\.yaml"):
            load_settings(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: [", "not valid YAML"),
            ("- a", "key: value lines, found list"),
            ("", "holds no settings: copy configs/reference.yaml over it"),
            ("a:\n\tb: 1", "cannot start any token in line 2, column 1"),
            ("currency: EUR\ncurrency: USD\n", "currency is given twice"),
            ("columns:\n  amount: a\n  amount: b\n", "amount is given twice"),
            ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ],
    )
    def test_broken(self, tmp_path: Path, text: str, said: str) -> None:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=re.escape(said)):
            load_settings(path)

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "s.yaml"
        path.write_bytes(b"currency: \xff\xfe\n")
        with pytest.raises(SettingsError, match="cannot be read"):
            load_settings(path)

    def test_orders_replace_the_source_but_not_its_dialect(self, tmp_path: Path) -> None:
        path = tmp_path / "s.yaml"
        source = {"path": "old.csv", "format": "csv", "csv": {"delimiter": ";"}}
        path.write_text(yaml.safe_dump(LEAST | {"source": source}), encoding="utf-8")
        settings = load_settings(path, orders="new.parquet")
        assert (settings.source.path, settings.source.format) == ("new.parquet", None)
        assert settings.source.csv.delimiter == ";"

    def test_which_file(self) -> None:
        assert settings_file(None, {}) == Path("foretier.yaml")
        assert settings_file(None, {"FORETIER_CONFIG": "a.yaml"}) == Path("a.yaml")
        assert settings_file(Path("b.yaml"), {"FORETIER_CONFIG": "a.yaml"}) == Path("b.yaml")

    def test_files_inside_packages(self) -> None:
        assert Path(source_path("package:lifetimes/datasets/CDNOW_master.txt")).is_file()
        assert source_path("x.csv") == "x.csv"
        with pytest.raises(SettingsError, match="package lifetimez is not installed"):
            source_path("package:lifetimez/x.txt")


class TestEnvironment:
    url = "postgresql+psycopg://reader:${ORDERS_PASSWORD}@host/shop"

    def test_the_url_is_expanded(self) -> None:
        raw = LEAST | {"source": {"url": self.url, "table": "orders"}}
        settings = parse_settings(raw, where="here", variables={"ORDERS_PASSWORD": "s"})
        assert settings.source.url == "postgresql+psycopg://reader:s@host/shop"

    def test_an_unset_variable_is_named(self) -> None:
        assert "ORDERS_PASSWORD, which is not set" in refused(source={"url": self.url, "table": "orders"})

    def test_addresses_default_to_the_home_folder(self, tmp_path: Path) -> None:
        environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
        assert environment.store_url == f"sqlite:///{tmp_path / 'scores.db'}"
        assert environment.tracking_url == f"sqlite:///{tmp_path / 'mlflow.db'}"

    def test_addresses_are_taken_as_given(self) -> None:
        variables = {"FORETIER_STORE_URL": "postgresql://a:b@c/d", "MLFLOW_TRACKING_URI": "http://m"}
        environment = Environment.read(variables)
        assert (environment.store_url, environment.tracking_url) == ("postgresql://a:b@c/d", "http://m")
        assert "a:b" not in repr(environment)
        assert environment.home.is_absolute()


def test_nearest_ignores_case() -> None:
    assert nearest("invoicedate", ["InvoiceDate", "Price"]) == 'did you mean "InvoiceDate"?'


def test_settings_for_logs_hold_no_password() -> None:
    for url in (
        "postgresql://me:secret@127.0.0.1/shop",
        "postgresql://127.0.0.1/shop?user=me&password=secret&sslpassword=secret",
    ):
        raw = {
            "source": {"url": url, "table": "orders"},
            "columns": {"customer_id": "c", "ordered_at": "d", "amount": "a"},
            "currency": "EUR",
        }
        logged = json.dumps(parse_settings(raw, where="test").without_secrets())
        assert "secret" not in logged
        assert "127.0.0.1/shop" in logged


class TestWebhook:
    @pytest.mark.parametrize(
        "url",
        [
            "https://crm.shop.example/foretier", "https://crm.shop.example:8443/a?b=c", "http://localhost:8000/", "http://127.0.0.1/x",
            "http://[::1]:9/x", "HTTPS://crm.shop.example",
        ],
    )  # fmt: skip
    def test_tls_or_this_machine(self, url: str) -> None:
        assert parsed(webhook={"url": url}).webhook.url == url

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://crm.shop.example/T0ken", "must begin with https://"),
            ("http://127.0.0.1.example/T0ken", "must begin with https://"),
            ("http://localhost@crm.example/T0ken", "must not hold a user name"),
            ("http://10.0.0.1/T0ken", "must begin with https://"),
            ("http://0.0.0.0/T0ken", "must begin with https://"),
            ("http://[::ffff:10.0.0.1]/T0ken", "must begin with https://"),
            ("https://me:T0ken@crm.shop.example/", "must not hold a user name or password"),
            ("https://crm.shop.example/#T0ken", "must not hold a #"),
            ("ftp://crm.shop.example/T0ken", "expected an address such as"),
            ("crm.shop.example/T0ken", "expected an address such as"),
            ("https:///T0ken", "expected an address such as"),
            ("https://crm.shop.example:x/T0ken", "expected an address such as"),
            ("https://crm.shop.example/T0 ken", "expected an address such as"),
            ("https://crm.shop.example/T0\nken", "expected an address such as"),
            ("https://[::1/T0ken", "expected an address such as"),
            ("", "expected an address such as"),
        ],
    )
    def test_nothing_goes_in_clear_and_the_address_is_not_repeated(self, url: str, said: str) -> None:
        told = refused(webhook={"url": url})
        assert f"webhook.url: {said}" in told
        assert "T0" not in told

    @pytest.mark.parametrize(
        ("webhook", "said"),
        [
            ({"attempts": 0}, "webhook.attempts"),
            ({"attempts": 21}, "webhook.attempts"),
            ({"timeout_seconds": 0.0}, "webhook.timeout_seconds"),
            ({"kinds": []}, "webhook.kinds"),
            ({"kinds": ["upgrade"]}, "webhook.kinds"),
            ({"adress": "x"}, "unknown key webhook.adress"),
            ({"url": 5}, "webhook.url: expected text"),
        ],
    )
    def test_what_does_not_fit(self, webhook: dict[str, Any], said: str) -> None:
        assert said in refused(webhook=webhook)

    def test_kinds_have_one_order_and_the_path_is_logged_nowhere(self) -> None:
        settings = parsed(webhook={"url": "https://hooks.example:444/T0ken?key=k", "kinds": ["won_back", "upgraded", "won_back"]})
        assert settings.webhook.kinds == ("upgraded", "won_back")
        assert settings.without_secrets()["webhook"]["url"] == "https://hooks.example:444"

    def test_the_secret_comes_from_the_environment_and_is_not_shown(self) -> None:
        environment = Environment.read({"FORETIER_WEBHOOK_SECRET": "whsec_c2VjcmV0"})
        assert environment.webhook_secret == "whsec_c2VjcmV0"  # noqa: S105 (nobody's)
        assert "c2VjcmV0" not in repr(environment)
        assert Environment.read({"FORETIER_WEBHOOK_SECRET": ""}).webhook_secret is None

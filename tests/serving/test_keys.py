"""API keys: made, kept on SQLite and PostgreSQL, and told apart."""

from __future__ import annotations

import hashlib
import hmac
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from configs.errors import NotFoundError, SettingsError, StoreError
from serving.key_store import KeyStore, api_keys
from serving.keys import Key, KeyRecord, KeyRing, chosen, new_key
from serving.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "hunter2"  # noqa: S105 (nobody's)


def bearer(text: str) -> bytes:
    return f"Bearer {text}".encode()


@pytest.fixture(scope="module")
def made() -> tuple[KeyRecord, str]:
    """A key and its text."""
    return new_key("shop", created_at=NOW)


class TestCallers:
    def test_the_right_key_is_known_beside_others(self, made: tuple[KeyRecord, str]) -> None:
        record, text = made
        second, second_text = new_key("shop", created_at=NOW)  # rotation: both are good for a while
        ring = KeyRing((record, second))
        assert ring.caller(bearer(text), NOW) == record.key
        assert ring.caller(bearer(second_text), NOW) == second.key
        assert ring.caller(b"bearer  " + text.encode(), NOW) == record.key

    @pytest.mark.parametrize("place", [*range(0, 86, 7), 85])
    def test_one_wrong_character_anywhere_is_refused(self, made: tuple[KeyRecord, str], place: int) -> None:
        record, text = made
        other = "1" if text[place] == "0" else "0"
        assert KeyRing((record,)).caller(bearer(text[:place] + other + text[place + 1 :]), NOW) is None

    @given(st.binary(max_size=200))
    def test_nothing_else_is_a_key(self, header: bytes) -> None:
        record, text = new_key("shop", created_at=NOW)
        ring = KeyRing((record,))
        for asked in (header, b"Bearer " + header, bearer(text) + header[:1], b"Basic " + text.encode(), text.encode(), None):
            assert (ring.caller(asked, NOW) is None) == (asked != bearer(text))

    def test_the_secret_of_one_key_does_not_open_another(self, made: tuple[KeyRecord, str]) -> None:
        record, _ = made
        other, text = new_key("other", created_at=NOW)
        mixed = f"foretier_{record.key.id}_{text.rpartition('_')[2]}"
        assert KeyRing((record, other)).caller(bearer(mixed), NOW) is None

    def test_a_key_is_good_until_it_expires_or_is_revoked(self) -> None:
        end = NOW + timedelta(days=1)
        record, text = new_key("shop", created_at=NOW, expires_at=end)
        ring = KeyRing((record,))
        assert ring.caller(bearer(text), end - timedelta(microseconds=1)) == record.key
        assert ring.caller(bearer(text), end) is None
        gone = KeyRing((replace(record, revoked_at=NOW),))
        assert gone.caller(bearer(text), NOW) is None
        assert not gone.empty

    def test_strangers_come_in_by_loopback_only_and_only_before_the_first_key(self, made: tuple[KeyRecord, str]) -> None:
        ring = KeyRing()
        assert ring.empty
        assert [ring.open_at(address) for address in ("127.0.0.1", "::1", "0.0.0.0", "::", "192.0.2.1")] == [  # noqa: S104
            True, True, False, False, False,
        ]  # fmt: skip
        assert not KeyRing((replace(made[0], revoked_at=NOW),)).open_at("127.0.0.1")
        assert ring.caller(bearer(made[1]), NOW) is None

    def test_nobody_is_a_caller_by_an_empty_id(self) -> None:
        assert KeyRing().caller(bearer("foretier__" + "0" * 64), NOW) is None
        assert KeyRing().caller(bearer("foretier_000000000000_" + "0" * 64), NOW) is None


class TestMaking:
    def test_what_is_kept_is_a_salted_hash(self, made: tuple[KeyRecord, str]) -> None:
        record, text = made
        matched = re.fullmatch(r"foretier_([0-9a-f]{12})_([0-9a-f]{64})", text)
        assert matched is not None
        assert matched[1] == record.key.id
        assert len(record.salt) == 16
        # RFC 2104 written out, as an oracle of the one call in the code.
        block = record.salt.ljust(64, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + matched[2].encode()).digest()
        assert record.secret_hash == hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()
        assert matched[2] not in repr(record)
        assert repr(record.secret_hash) not in repr(record)

    def test_no_two_keys_are_alike(self) -> None:
        made = [new_key("shop", created_at=NOW) for _ in range(50)]
        assert len({text for _, text in made}) == len({record.salt for record, _ in made}) == 50
        assert len({record.key.id for record, _ in made}) == 50

    def test_read_and_predict_by_default(self, made: tuple[KeyRecord, str]) -> None:
        assert made[0].key == Key(made[0].key.id, "shop", frozenset({"read", "predict"}))

    def test_what_makes_no_sense_is_refused(self) -> None:
        def refused(name: str = "shop", **more: object) -> str:
            with pytest.raises(SettingsError) as fault:
                new_key(name, created_at=NOW, **more)  # type: ignore[arg-type]
            return str(fault.value)

        for name in ("", "  ", "a\nb", "x" * 101, "\x1b[2J", "\0", "\ud800"):
            assert "1 to 100 printable characters" in refused(name)
        assert "1 to 200 printable characters" in refused(customers="")
        assert 'no scope "reed"; did you mean "read"?' in refused(scopes=["reed"])
        assert "a key needs a scope" in refused(scopes=[])
        assert "cannot have the scope lists or admin, which shows all" in refused(scopes=["admin", "lists"], customers="DE-*")
        for limit in (0.0, 0.5, -1.0, float("nan"), float("inf"), 100_001.0):
            assert "from 1 to 100,000" in refused(requests_per_second=limit)
        assert "expires on 2026-03-01 12:00 UTC would be of no use" in refused(expires_at=NOW)


def test_a_pattern_is_of_the_exact_id() -> None:
    limited = new_key("germany", created_at=NOW, customers="DE-*")[0].key
    assert [limited.may_see(customer) for customer in ("DE-1", "DE-", "DE-1\n2")] == [True] * 3
    assert [limited.may_see(customer) for customer in ("de-1", "XDE-1", "DE", "", "FR-1", "\nDE-1")] == [False] * 6
    assert new_key("all", created_at=NOW)[0].key.may_see("FR-1")
    assert new_key("one", created_at=NOW, customers="0[!0]?")[0].key.may_see("012")


class TestChoosing:
    def test_by_id_or_by_the_name_of_one_active_key(self) -> None:
        old, _ = new_key("shop", created_at=NOW - timedelta(days=30), expires_at=NOW)
        first, _ = new_key("shop", created_at=NOW)
        assert chosen([old, first], "shop", NOW) == first
        assert chosen([old, first], old.key.id, NOW) == old
        second, _ = new_key("shop", created_at=NOW + timedelta(minutes=1))
        with pytest.raises(SettingsError, match=rf'2 active keys are named "shop".*{first.key.id}.*{second.key.id}'):
            chosen([old, first, second], "shop", NOW)
        assert chosen([old, replace(first, revoked_at=NOW), second], "shop", NOW) == second

    def test_none_is_told_with_the_nearest(self, made: tuple[KeyRecord, str]) -> None:
        with pytest.raises(NotFoundError, match='no active key "shpo"; did you mean "shop"'):
            chosen([made[0]], "shpo", NOW)
        with pytest.raises(NotFoundError, match=r"was revoked already, on 2026-03-01 12:00 UTC"):
            chosen([replace(made[0], revoked_at=NOW)], made[0].key.id, NOW)


class TestStore:
    def test_every_key_is_read_back_exactly_by_another_server(self, store_url: str) -> None:
        berlin = datetime.fromisoformat("2027-01-01T00:00:00+01:00")
        records = [
            new_key("Zoë's 😀 shop", created_at=NOW)[0],
            new_key(
                "full", created_at=NOW + timedelta(seconds=1), scopes=["admin", "lists", "read"], expires_at=berlin,
                requests_per_second=2.5,
            )[0],
            new_key("%_'; DROP", created_at=NOW + timedelta(seconds=2), customers="DE-*'\\")[0],
        ]  # fmt: skip
        with KeyStore(store_url) as one, KeyStore(store_url) as other:
            assert one.records() == ()
            for record in records:
                one.create(record)
            assert other.records() == tuple(records)

    def test_revoking_is_seen_by_all_and_keeps_the_first_moment(self, store_url: str) -> None:
        (first, text), (second, _) = (new_key("shop", created_at=NOW) for _ in range(2))
        with KeyStore(store_url) as one, KeyStore(store_url) as other:
            one.create(first)
            one.create(second)
            other.revoke(first.key.id, NOW)
            other.revoke(first.key.id, NOW + timedelta(days=1))
            other.revoke("000000000000", NOW)
            ring = KeyRing(one.records())
            assert {record.key.id: record.revoked_at for record in ring.records} == {first.key.id: NOW, second.key.id: None}
            assert ring.caller(bearer(text), NOW) is None

    def test_keys_and_runs_share_a_store_and_no_secret_is_in_it(self, store_url: str) -> None:
        record, text = new_key("shop", created_at=NOW)
        with Store(store_url) as runs, KeyStore(store_url) as keys:
            keys.create(record)
            assert runs.published() is None
        engine = sa.create_engine(store_url)
        with engine.connect() as connection:
            [row] = connection.execute(sa.select(api_keys)).all()
        engine.dispose()
        secret = text.rpartition("_")[2]
        assert secret not in repr(row)
        assert bytes.fromhex(secret) not in (row.salt, row.secret_hash)

    def test_a_scope_of_a_later_version_gives_no_right(self, tmp_path: Path) -> None:
        file = tmp_path / "scores.db"
        record, _ = new_key("shop", created_at=NOW, scopes=["read"])
        with KeyStore(f"sqlite:///{file}") as keys:
            keys.create(record)
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("UPDATE api_keys SET scopes = 'read everything'")
            assert keys.records() == (record,)

    def test_faults_are_one_line_without_the_key(self, store_url: str) -> None:
        record, text = new_key("shop", created_at=NOW)
        with KeyStore(store_url) as keys:
            keys.create(record)
            with pytest.raises(StoreError) as fault:
                keys.create(record)
        said = str(fault.value)
        assert "\n" not in said
        assert record.key.id not in said
        assert text.rpartition("_")[2] not in said
        if "postgresql" in store_url:
            nowhere = make_url(store_url).set(port=1, password=PASSWORD).render_as_string(hide_password=False)
            with pytest.raises(StoreError, match="cannot be used") as away:
                KeyStore(nowhere)
            assert PASSWORD not in str(away.value)


def test_the_hash_is_compared_in_constant_time_and_for_unknown_ids_too(
    made: tuple[KeyRecord, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or digest(one, other))
    ring = KeyRing((made[0],))
    for asked in (made[1], made[1][:-1] + ("1" if made[1][-1] == "0" else "0"), "foretier_000000000000_" + "0" * 64):
        ring.caller(bearer(asked), NOW)
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * 3

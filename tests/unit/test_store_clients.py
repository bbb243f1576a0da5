"""Clients of stores against real servers: what goes wrong has a kind, a place and no password; nothing stays open.

A socket left open is a ResourceWarning, and that an error here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, black_hole, free_address, http
from storekit import PASSWORDS, READER, REPL, MariaDb, Pair, Redis, fleet, free_port, mariadb_pair, redis_pair

from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login, Member
from blackstart.lab.pki import Authority
from blackstart.schema.secret import Secret, SecretError

ERRORS = (sql.SqlError, redisdb.RedisError)


def ask(
    found: Fleet, name: str, member: Member | None = None, login: Login | None = None, deadline: float = 5
) -> Any:
    """One question to us of a store, or to another member, as another user."""
    store = found.stores[name]
    member, login = member or store.members["us"], login or store.reader
    if store.kind == "redis":
        with redisdb.connect(found, store, member, login, deadline) as client:
            return client.info("replication")["role"]
    with sql.connect(found, store, member, login, deadline) as session:
        return session.row("SELECT @@hostname AS host")["host"]


def at(address: str) -> Member:
    return Member(address=address, place="here")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Pair[MariaDb], Pair[Redis]]]:
    folder = tmp_path_factory.mktemp("stores")
    tls = Authority(folder / "pki", "stores")
    pair = tls.server("server", "db", ["db.internal"])
    files = {"cert": str(pair.cert), "key": str(pair.key), "ca": str(tls.pair.cert)}
    mine = {f"ssl_{name}": file for name, file in files.items()}
    redis_tls = {
        "tls_port": str(free_port()),
        "tls_auth_clients": "no",
        "tls_cert_file": files["cert"],
        "tls_key_file": files["key"],
        "tls_ca_cert_file": files["ca"],
    }
    with mariadb_pair(folder / "m", **mine) as maria, redis_pair(folder / "r") as redis:
        redis.us.kill()
        redis.us.options |= {key.replace("_", "-"): value for key, value in redis_tls.items()}
        redis.us.start()
        yield fleet(folder, orders=maria, cache=redis), maria, redis


def with_tls(found: Fleet, name: str, server_name: str | None, ca: Path, address: str | None = None) -> Fleet:
    document = found.model_dump(exclude={"source"})
    store = document["stores"][name]
    store["tls"] = {"ca": ca, "server_name": server_name}
    if address:
        store["members"]["us"]["address"] = address
    return Fleet.model_validate(document)


@pytest.mark.parametrize("name", ["orders", "cache"])
class TestEach:
    def test_answers(self, stores: Any, name: str) -> None:
        assert ask(stores[0], name)

    @pytest.mark.parametrize(
        ("user", "password"), [(READER, "wr0ng-Pw"), ("nobody", "wr0ng-Pw"), (READER, "wr0ng-Pw-€")]
    )
    def test_a_wrong_password_is_unauthorised_and_not_shown(
        self, stores: Any, name: str, user: str, password: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PW", password)
        with pytest.raises(ERRORS) as caught:
            ask(stores[0], name, login=Login(user=user, password=Secret("${env:PW}")))
        assert caught.value.kind == "unauthorised"
        assert "wr0ng" not in str(caught.value)
        assert "€" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_password_that_cannot_be_read_says_so(self, stores: Any, name: str) -> None:
        with pytest.raises(SecretError, match="NO_SUCH_PASSWORD} is not set"):
            ask(stores[0], name, login=Login(user=READER, password=Secret("${env:NO_SUCH_PASSWORD}")))

    def test_nobody_there_is_refused(self, stores: Any, name: str) -> None:
        with pytest.raises(ERRORS) as caught:
            ask(stores[0], name, at(free_address()))
        assert caught.value.kind == "refused"

    def test_silence_is_a_timeout_within_the_deadline(self, stores: Any, name: str) -> None:
        started = time.monotonic()
        with black_hole() as address, pytest.raises(ERRORS) as caught:
            ask(stores[0], name, at(address), deadline=0.3)
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 5

    def test_a_server_that_accepts_and_says_nothing_is_a_timeout(self, stores: Any, name: str) -> None:
        with Server(lambda head: None) as mute, pytest.raises(ERRORS) as caught:
            ask(stores[0], name, at(mute.address), deadline=0.3)
        assert caught.value.kind == "timeout"

    def test_a_name_that_does_not_resolve_is_refused(self, stores: Any, name: str) -> None:
        with pytest.raises(ERRORS) as caught:
            ask(stores[0], name, at("no-such-host.invalid:1"))
        assert caught.value.kind == "refused"

    def test_another_kind_of_server_is_no_traceback(self, stores: Any, name: str) -> None:
        with Server(lambda head: http({}), close=True) as web, pytest.raises(ERRORS):
            ask(stores[0], name, at(web.address), deadline=0.5)

    def test_a_cut_in_the_middle_is_a_timeout(self, stores: Any, name: str) -> None:
        found, wire = stores[0], (stores[1] if name == "orders" else stores[2]).wire
        store, member = found.stores[name], at(wire.address)
        with pytest.raises(ERRORS) as caught:  # noqa: PT012 - the cut comes between two questions
            if name == "orders":
                with sql.connect(found, store, member, store.reader, 0.5) as session:
                    session.row("SELECT 1")
                    wire.cut()
                    session.row("SELECT 1")
            else:
                with redisdb.connect(found, store, member, store.reader, 0.5) as client:
                    client.ping()
                    wire.cut()
                    client.ping()
        wire.heal()
        assert caught.value.kind == "timeout"

    def test_tls_checks_authority_and_name(self, stores: Any, name: str, tmp_path: Path) -> None:
        found, maria, redis = stores
        address = None if name == "orders" else f"127.0.0.1:{redis.us.options['tls-port']}"
        ca = Path(maria.us.options["ssl-ca"])
        other = Authority(tmp_path, "other").pair.cert
        assert ask(with_tls(found, name, "db.internal", ca, address), name)
        assert ask(with_tls(found, name, None, ca, address), name)
        for server_name, authority in (("db.elsewhere", ca), ("db.internal", other)):
            with pytest.raises(ERRORS) as caught:
                ask(with_tls(found, name, server_name, authority, address), name)
            assert caught.value.kind == "malformed"
            assert "certificate" in str(caught.value).lower()

    def test_tls_files_that_are_not_there_are_named(self, stores: Any, name: str) -> None:
        with pytest.raises(ERRORS, match=r"/nowhere/ca\.pem"):
            ask(with_tls(stores[0], name, None, Path("/nowhere/ca.pem")), name)


def test_tls_is_not_given_up_when_the_server_has_none(stores: Any, tmp_path: Path) -> None:
    found, maria = stores[:2]
    ca = Path(maria.us.options["ssl-ca"])
    with pytest.raises(redisdb.RedisError):
        ask(with_tls(found, "cache", None, ca), "cache", deadline=1)
    with mariadb_pair(tmp_path / "plain", skip_ssl="") as plain:
        plain_fleet = with_tls(fleet(tmp_path, orders=plain), "orders", None, ca)
        with pytest.raises(sql.SqlError, match="SSL is required"):
            ask(plain_fleet, "orders")


def test_a_statement_with_a_password_does_not_show_it(stores: Any) -> None:
    found = stores[0]
    store = found.stores["orders"]
    with (
        sql.connect(found, store, store.members["us"], store.admin) as session,
        pytest.raises(sql.SqlError) as caught,
    ):
        session.run(f"CHANGE MASTER TO nonsense='{PASSWORDS[REPL]}'")
    assert caught.value.code == 1064
    assert PASSWORDS[REPL] not in str(caught.value)
    cache = found.stores["cache"]
    with (
        pytest.raises(redisdb.RedisError) as hidden,
        redisdb.connect(found, cache, cache.members["us"], cache.admin) as client,
    ):
        client.execute_command("NONSENSE", PASSWORDS[REPL])
    assert PASSWORDS[REPL] not in str(hidden.value)


def test_what_a_user_may_not_do_is_unauthorised(stores: Any) -> None:
    found = stores[0]
    store, cache = found.stores["orders"], found.stores["cache"]
    with (
        sql.connect(found, store, store.members["us"], store.reader) as session,
        pytest.raises(sql.SqlError) as caught,
    ):
        session.run("STOP SLAVE")
    assert caught.value.kind == "unauthorised"
    with (
        pytest.raises(redisdb.RedisError) as denied,
        redisdb.connect(found, cache, cache.members["us"], cache.reader) as client,
    ):
        client.set("a", "b")
    assert denied.value.kind == "unauthorised"


def test_a_percent_sign_is_literal_without_arguments(stores: Any) -> None:
    found = stores[0]
    store = found.stores["orders"]
    with sql.connect(found, store, store.members["us"], store.reader) as session:
        assert session.row("SELECT '50%' AS a") == {"a": "50%"}
        assert session.row("SELECT %s AS a", ["x"]) == {"a": "x"}
        assert session.row("SELECT 1 FROM DUAL WHERE 1 = 0") == {}


def test_an_error_of_the_caller_is_not_one_of_the_server(stores: Any) -> None:
    found = stores[0]
    cache = found.stores["cache"]
    with pytest.raises(FileNotFoundError), redisdb.connect(found, cache, cache.members["us"], cache.reader):
        Path("/nowhere/file").read_text()

"""The stores of a lab: what real servers make of their configuration, who leads after a restore, fleet.yaml."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from blackstart.cli import cli
from blackstart.fleet.model import Fleet
from blackstart.lab import data, logins, manifests
from blackstart.lab.data import Seen, decide
from blackstart.lab.edge import Writes, edge_config
from blackstart.lab.features import Features
from blackstart.lab.fleetfile import fleet_document
from blackstart.lab.machine import Spec, read_spec
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError
from blackstart.lab.topology import topology

LAB = topology(["us", "eu", "as"])
UIDS = {"us": "1", "eu": "2", "as": "3"}
SITES = data.sites(LAB)
US, EU = SITES["us"].address, SITES["eu"].address
PASSWORDS = {user: f"secret-of-{user}" for user in data.USERS}


def test_the_first_two_regions_have_stores_over_their_link() -> None:
    wire = LAB.wires["us-eu"]
    assert list(SITES) == ["us", "eu"]
    assert (US, SITES["us"].peer) == (wire.end_of("us").address, wire.end_of("eu").address)
    assert [site.primary for site in SITES.values()] == [True, False]
    assert SITES["us"].number != SITES["eu"].number
    with pytest.raises(LabError, match="two regions"):
        data.sites(topology(["us"]))


US_LEADS = Seen("us", True, True, None)
US_BACK = Seen("us", True, False, None)
US_DEAD = Seen("us", False, False, None)
EU_FOLLOWS = Seen("eu", True, False, US)
EU_DEAD = Seen("eu", False, False, US)
EU_PROMOTED = Seen("eu", True, True, None)
EU_WAS_PROMOTED = Seen("eu", False, False, None)


@pytest.mark.parametrize(
    ("seen", "orders"),
    [
        ([US_LEADS, EU_FOLLOWS], {"eu": "follow"}),
        ([US_BACK, EU_FOLLOWS], {"us": "lead", "eu": "follow"}),
        ([US_BACK, EU_DEAD], {"us": "lead"}),
        ([US_LEADS, EU_DEAD], {}),
        # Its relay log may be all that is left of what us acknowledged.
        ([US_DEAD, EU_FOLLOWS], {}),
        ([US_BACK, EU_PROMOTED], {}),
        ([US_BACK, EU_WAS_PROMOTED], {}),
        ([US_BACK, Seen("eu", True, False, None)], {}),
        # Promoted without forgetting its source: taking writes counts.
        ([US_BACK, Seen("eu", True, True, US)], {}),
        ([US_LEADS, EU_PROMOTED], {}),
        # The other way round, after a fail-over that was finished.
        ([Seen("us", True, False, EU), EU_PROMOTED], {"us": "follow"}),
        ([Seen("us", True, False, EU), Seen("eu", True, False, None)], {"eu": "lead", "us": "follow"}),
        ([Seen("us", True, False, EU), Seen("eu", True, False, US)], {}),
    ],
)
def test_who_leads_after_a_restore(seen: list[Seen], orders: dict[str, str]) -> None:
    assert decide(seen, SITES) == orders
    assert decide(seen[::-1], SITES) == orders


@pytest.mark.parametrize("other", [EU_PROMOTED, EU_FOLLOWS, EU_WAS_PROMOTED])
def test_every_server_of_a_multi_active_lab_that_answers_takes_writes(other: Seen) -> None:
    both = data.sites(LAB, multi_active=True)
    wanted = {"us": "lead"} | ({"eu": "lead"} if other.answers else {})
    assert decide([US_BACK, other], both) == wanted
    assert data.lead(both["eu"]).startswith("START SLAVE;")


def test_a_multi_active_lab_has_domains_numbers_and_caches_apart(tmp_path: Path) -> None:
    both = data.sites(LAB, multi_active=True)
    us, eu = (data.mariadb_config(site, Path("/d")).splitlines() for site in both.values())
    assert "gtid-domain-id = 1" in us
    assert "gtid-domain-id = 2" in eu
    assert ("auto-increment-offset = 1" in us, "auto-increment-offset = 2" in eu) == (True, True)
    assert "auto-increment-increment = 2" in us
    assert not any("auto-increment" in line for line in data.mariadb_config(SITES["us"], Path("/d")).splitlines())
    assert data.lasting_source("redis", data.redis_config(both["eu"], Path("/d"), PASSWORDS)) is None
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS, sites=both))
    assert {name: store.multi_active for name, store in fleet.stores.items()} == {"orders-db": True}
    orders = fleet.services[fleet.resolve("multi-active")]
    assert orders.stores == ["orders-db"]
    assert orders.writes is not None
    assert orders.writes.urls == {region: f"{entry.url}orders" for region, entry in orders.direct.items()}
    assert "cache" not in fleet.roles


def test_roles_that_last_are_read_from_the_servers_files() -> None:
    assert data.lasting_source("mariadb", "33\nbin.000001\n4\n198.18.16.1\nreplicator\n") == "198.18.16.1"
    assert data.lasting_source("mariadb", "33\n\n4\n\n") is None
    assert data.lasting_source("redis", data.redis_config(SITES["eu"], Path("/d"), PASSWORDS)) == US
    assert data.lasting_source("redis", data.redis_config(SITES["us"], Path("/d"), PASSWORDS)) is None


def test_passwords_are_private_and_differ(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    logins.make(paths)
    found = [*logins.read(paths, "mariadb").values(), *logins.read(paths, "redis").values()]
    assert len(set(found)) == 2 * len(data.USERS)
    assert {file.stat().st_mode & 0o777 for file in paths.secrets.iterdir()} == {0o600}


def test_a_fleet_with_stores_is_accepted_and_holds_no_password(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    logins.make(paths)
    document = fleet_document(LAB, paths, UIDS, sites=SITES)
    fleet = Fleet.model_validate(document)
    database = fleet.stores[fleet.resolve("database")]
    assert (database.kind, database.primary, list(database.members)) == ("mariadb", "us", ["us", "eu"])
    assert database.members["us"].client_address == f"{US}:3306"
    switch = database.members["eu"].power
    assert switch is not None
    assert switch.kill[3:] == ["lab", "kill", "eu", "--part", "mariadb", "--state", str(tmp_path)]
    assert database.admin is not None
    assert database.admin.password is not None
    assert database.admin.password.reveal() == logins.read(paths, "mariadb")[data.ADMIN]
    assert logins.read(paths, "mariadb")[data.ADMIN] not in str(document)
    orders = fleet.services[fleet.resolve("orders")]
    assert orders.stores == ["orders-db", fleet.resolve("cache")]
    assert list(orders.workloads) == list(orders.direct) == ["us", "eu"]
    assert orders.writes is not None
    assert orders.writes.url == f"{orders.entry.url}orders"


def test_a_fleet_without_stores_has_none_of_it(tmp_path: Path) -> None:
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS))
    assert (list(fleet.services), fleet.stores) == (["user-service"], {})
    assert "database" not in fleet.roles


def test_order_service_reads_what_is_mounted() -> None:
    objects = manifests.order_service("eu", f"{EU}:3306", {"orders-db": f"{US}:3306"}, {"orders-db": "hush"})
    kinds = {o["kind"]: o for o in objects}
    assert list(kinds)[:2] == ["ConfigMap", "Secret"]
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert not any("subPath" in mount for mount in container["volumeMounts"])
    assert "hush" not in str(kinds["Deployment"])
    # Ready whatever the stores do: a region must be able to come back beside a primary elsewhere.
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert kinds["Service"]["spec"]["selector"] == kinds["Deployment"]["spec"]["selector"]["matchLabels"]


def test_a_write_that_was_sent_is_never_tried_again() -> None:
    upstreams = [("us", "10.0.0.1", 30081), ("eu", "10.0.0.2", 30081)]
    config = edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), upstreams, writes=Writes(("127.0.0.1", 3), upstreams))
    [_, listener] = config["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert route["retry_policy"]["retry_on"] == "connect-failure"
    assert "per_try_timeout" not in route["retry_policy"]


def test_the_spec_of_an_older_lab_has_no_stores(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    paths.spec.write_text('{"regions": ["us"], "complete": true, "made": []}')
    assert read_spec(paths) == Spec(("us",), complete=True)
    Spec(("us", "eu"), has=Features(data=True, semi_sync=True)).write(paths)
    assert read_spec(paths) == Spec(("us", "eu"), has=Features(data=True, semi_sync=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--provider", "kind", "--data"], "only the native provider"),
        (["--semi-sync"], "goes with --data"),
        (["--multi-active"], "goes with --data"),
        (["--data", "--semi-sync", "--multi-active"], "excludes --semi-sync"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["lab", "up", *options])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.skipif(shutil.which("mariadbd", path="/usr/sbin:/usr/bin") is None, reason="MariaDB is not installed")
@pytest.mark.parametrize(("semi_sync", "multi_active"), [(False, False), (True, False), (False, True)])
def test_mariadb_knows_every_option(tmp_path: Path, semi_sync: bool, multi_active: bool) -> None:
    config = tmp_path / "my.cnf"
    config.write_text(data.mariadb_config(data.sites(LAB, semi_sync, multi_active)["us"], tmp_path))
    mariadbd = shutil.which("mariadbd", path="/usr/sbin:/usr/bin") or ""
    argv = [mariadbd, f"--defaults-file={config}", "--help", "--verbose"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "unknown" not in done.stderr
    values = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split(maxsplit=1)) == 2)
    assert (values["read-only"], values["gtid-strict-mode"], values["skip-slave-start"]) == ("TRUE", "TRUE", "TRUE")
    assert values["rpl-semi-sync-slave-enabled"] == ("TRUE" if semi_sync else "FALSE")
    assert values["rpl-semi-sync-master-enabled"] == "FALSE"


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed")
def test_redis_starts_without_taking_writes_and_its_users_keep_to_their_part(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "users.acl").write_text(data.redis_users(PASSWORDS))
    config = folder / "redis.conf"
    config.write_text(data.redis_config(SITES["us"], folder, PASSWORDS))
    socket = "/tmp/" + tmp_path.name[-20:] + ".sock"
    argv = ["redis-server", str(config), "--port", "0", "--unixsocket", socket, "--replicaof", *map(str, data.NOBODY)]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:

        def ask(user: str, *commands: str) -> list[str]:
            text = "\n".join([f"AUTH {user} {PASSWORDS[user]}", *commands, ""])
            cli = ["redis-cli", "-s", socket]
            done = subprocess.run(cli, input=text, capture_output=True, text=True, timeout=10)
            return [line for line in done.stdout.splitlines() if line]

        end = time.monotonic() + 10
        while ask(data.ADMIN, "PING") != ["OK", "PONG"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert ask(data.APP, "SET order:1 x")[1].startswith("READONLY")
        assert ask(data.ADMIN, "REPLICAOF NO ONE", "CONFIG REWRITE")[1:] == ["OK", "OK"]
        assert data.lasting_source("redis", config.read_text()) is None
        assert ask(data.APP, "SET order:1 x")[1:] == ["OK"]
        assert ask(data.APP, "SET other x")[1].startswith("NOPERM")
        assert ask(data.READER, "GET order:1", "ROLE")[1:3] == ["x", "master"]
        for forbidden in ("SET order:1 y", "CONFIG GET masterauth", "REPLICAOF NO ONE"):
            assert ask(data.READER, forbidden)[1].startswith("NOPERM"), forbidden
    finally:
        server.kill()
        server.wait()
        Path(socket).unlink(missing_ok=True)

"""`blackstart lint --data`: what each rule finds, and that good configurations have nothing to say."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from storekit import PASSWORDS, fleet_file, mariadb_pair, redis_pair, replicate

from blackstart import cli
from blackstart.plan.data.check import RULES, lint_data
from blackstart.plan.data.files import read_files
from blackstart.plan.data.model import DataConfig, Said
from blackstart.plan.data.texts import read_text

EXAMPLES = Path(__file__).parent / "data_examples"
GOOD = """[mariadb]
server-id=1
log-bin=bin
log-slave-updates=1
gtid-strict-mode=1
sync-binlog=1
"""
REPLICA = GOOD.replace("server-id=1", "server-id=2") + "read-only=1\n"
US = GOOD + "gtid-domain-id=1\nauto-increment-increment=2\nauto-increment-offset=1\n"
EU = REPLICA.replace("read-only=1\n", US.removeprefix(GOOD).replace("id=1", "id=2").replace("offset=1", "offset=2"))
"""Two that take writes at the same time: 9 lines, then 9 more."""
MYSQL = "[mysqld]\nserver-id=1\ngtid_mode=ON\nenforce_gtid_consistency=ON\n"


def found(text: str, rpo: float | None = None) -> list[tuple[str, int | None]]:
    """Rule and line of every finding."""
    read = read_text(text, "f", "f")
    data = DataConfig(read.servers, read.statements, read.secrets, Said(rpo))
    return [(finding.rule, finding.place.line) for finding in lint_data(data)]


def rules(text: str, rpo: float | None = None) -> set[str]:
    return {rule for rule, _ in found(text, rpo)}


@dataclass(frozen=True)
class Done:
    exit_code: int
    output: str


def run(*arguments: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.invoke(["lint", *arguments])
    return Done(code, out.getvalue() + err.getvalue())


@pytest.mark.parametrize("rpo", [None, 30.0])
def test_good_servers_have_nothing_to_say(rpo: float | None) -> None:
    assert found(GOOD + REPLICA, rpo) == []
    assert found(MYSQL, rpo) == []


def test_a_good_folder_has_nothing_to_say_even_without_loss() -> None:
    source = read_files([EXAMPLES / "good"], Said(0))
    assert [str(finding) for finding in lint_data(source.data)] == []
    assert len(source.data.servers) == 3
    assert len(source.data.statements) == 1


def test_a_bad_folder_says_all_of_it_with_lines() -> None:
    source = read_files([EXAMPLES / "bad"], Said(0))
    said = {(f.rule, Path(f.place.file).name, f.place.line) for f in lint_data(source.data)}
    assert said == {
        ("BSD211", "active-active.sh", 2),
        ("BSD161", "cache.yaml", 9),
        ("BSD201", "cache.yaml", 7),
        ("BSD202", "cache.yaml", 8),
        ("BSD203", "cache.yaml", 10),
        ("BSD101", "mysql.sql", 5),
        ("BSD103", "mysql.sql", 2),
        ("BSD103", "mysql.sql", 8),
        ("BSD111", "mysql.sql", 2),
        ("BSD111", "mysql.sql", 8),
        ("BSD111", "mysql.sql", 12),
        ("BSD131", "mysql.sql", 8),
        ("BSD141", "mysql.sql", 2),
        ("BSD141", "mysql.sql", 8),
        ("BSD161", "mysql.sql", 15),
    }


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        (GOOD + "binlog-do-db=users\nbinlog-do-db=orders", "BSD101", 8),
        (GOOD + "binlog_ignore_db = audit", "BSD101", 7),
        (GOOD + REPLICA + "replicate-do-db=users", "BSD102", 14),
        (GOOD + "skip-log-bin", "BSD103", 7),
        (GOOD.replace("log-slave-updates=1", "log-slave-updates=0"), "BSD103", 4),
        (MYSQL.replace("gtid_mode=ON", "gtid_mode=OFF"), "BSD111", 3),
        ("CHANGE REPLICATION SOURCE TO SOURCE_HOST='a', SOURCE_LOG_POS=4;", "BSD111", 1),
        ("\nCHANGE MASTER 'eu' TO\n master_host='a',\n master_use_gtid=no;", "BSD111", 2),
        (GOOD.replace("gtid-strict-mode=1", "gtid-domain-id=0"), "BSD112", 1),
        (GOOD + REPLICA.replace("server-id=2", "server-id=1"), "BSD121", 8),
        (GOOD.replace("server-id=1\n", "") + REPLICA.replace("server-id=2", "server-id=1"), "BSD121", 7),
        (US + EU.replace("gtid-domain-id=2", "gtid-domain-id=1"), "BSD122", 16),
        (US + EU.replace("offset=2", "offset=1"), "BSD123", 18),
        (US + EU.replace("offset=2", "offset=3"), "BSD123", 18),
        (US + EU.replace("auto-increment-offset=2\n", ""), "BSD123", 10),
        (US.replace("increment=2", "increment=1") + EU, "BSD123", 8),
        (GOOD + REPLICA.replace("read-only=1", ""), "BSD131", 7),
        (GOOD.replace("sync-binlog=1", "sync-binlog=0"), "BSD151", 6),
        (GOOD.replace("sync-binlog=1\n", ""), "BSD151", 1),
        (MYSQL + "innodb_flush_log_at_trx_commit=2", "BSD151", 5),
        (GOOD + "[client]\npassword=hunter2", "BSD161", 8),
        ("appendonly yes\nrequirepass hunter2", "BSD161", 2),
        ("appendonly yes\nuser app on >hunter2 ~*", "BSD161", 2),
        ("appendonly yes\nslave-read-only no", "BSD203", 2),
        ("maxmemory 1gb", "BSD202", 1),
    ],
)
def test_one_thing_wrong_is_one_finding(text: str, rule: str, line: int) -> None:
    assert found(text) == [(rule, line)]


SEMI = GOOD + "rpl-semi-sync-master-enabled=1\nrpl-semi-sync-master-timeout=3600000\n"
SEMI += "rpl-semi-sync-master-wait-point=AFTER_SYNC\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (SEMI, set()),
        (SEMI + REPLICA + "rpl-semi-sync-slave-enabled=1", set()),
        (GOOD, {"BSD141"}),
        (SEMI + REPLICA, {"BSD141"}),
        (SEMI.replace("3600000", "10000"), {"BSD142"}),
        (SEMI.replace("rpl-semi-sync-master-timeout=3600000\n", ""), {"BSD142"}),
        (SEMI.replace("AFTER_SYNC", "AFTER_COMMIT"), {"BSD143"}),
        (SEMI.replace("rpl-semi-sync-master-wait-point=AFTER_SYNC\n", ""), {"BSD143"}),
        (MYSQL + "rpl_semi_sync_source_enabled=1\nrpl_semi_sync_source_timeout=4000000", set()),
        ("appendonly yes", {"BSD201"}),
        ("appendonly yes\nmin-replicas-to-write 1", set()),
        ("appendonly yes\nmin-slaves-to-write 1\nmin-replicas-max-lag 0", {"BSD201"}),
    ],
)
def test_rules_that_need_a_loss_of_nothing(text: str, wanted: set[str]) -> None:
    assert rules(text, rpo=0) == wanted
    assert not rules(text) & {"BSD141", "BSD142", "BSD143", "BSD201"}
    assert not rules(text, rpo=5) & {"BSD141", "BSD142", "BSD143", "BSD201"}


@pytest.mark.parametrize("password", ["${PW}", "$(PW)", "{{ .Values.pw }}", "<password>", "***", ""])
def test_a_placeholder_is_no_password(password: str) -> None:
    assert "BSD161" not in rules(f"CHANGE MASTER TO MASTER_PASSWORD='{password}', MASTER_USE_GTID=slave_pos;")


def test_servers_that_all_take_writes_in_domains_of_their_own_are_meant_so() -> None:
    assert found(US + EU) == []


def test_the_files_of_one_server_are_one_server(tmp_path: Path) -> None:
    for region, text in (("us", GOOD), ("eu", REPLICA)):
        (tmp_path / region / "conf.d").mkdir(parents=True)
        head, _, rest = text.partition("log-bin=bin\n")
        (tmp_path / region / "my.cnf").write_text(head)
        (tmp_path / region / "conf.d/a.cnf").write_text("[mariadb]\nlog-bin=bin\nsync-binlog=0\n")
        (tmp_path / region / "conf.d/b.cnf").write_text("[mariadb]\n" + rest)
    source = read_files([tmp_path], Said())
    assert [server.name for server in source.data.servers] == ["eu", "us"]
    assert lint_data(source.data) == []


def test_every_rule_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert [rule.id for rule in RULES if text.count(rule.id) < 1] == []


def test_output_says_why_and_hides_passwords(tmp_path: Path) -> None:
    done = run("--data", str(EXAMPLES / "bad"), "--rpo", "0s")
    assert done.exit_code == 2
    assert "not-so-secret" not in done.output
    assert "BSD101: The source writes every schema" in done.output
    for output in ("json", "sarif"):
        done = run("--data", str(EXAMPLES / "bad"), "-o", output)
        assert "not-so-secret" not in done.output
        assert json.loads(done.output)
    assert run("--data", str(EXAMPLES / "good"), "--rpo", "0s").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "--mesh"], "either --mesh or --data"),
        (["--rpo", "0s"], "--rpo goes with --data"),
        (["--data", "--rpo", "soon"], "--rpo: 'soon' is not a duration"),
        (["--data", "x", "--fleet", "y"], "either PATHS or --fleet"),
        (["--data", "--rto", "5s"], "--rto goes with --mesh"),
        (["--data", "--fleet", "y", "-o", "sarif"], "use -o json"),
        (["--data", "/nowhere/at/all.cnf"], "cannot be read: No such file"),
    ],
)
def test_bad_input_ends_without_a_traceback(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_folder_with_nothing_and_broken_files(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path))
    assert done.exit_code != 0
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.cnf").write_bytes(b"[mysqld]\n\xff\xfe")
    done = run("--data", str(tmp_path))
    assert done.exit_code == 2
    assert done.output.count("[BSD001]") == 2


def test_live_servers_are_read_with_the_same_rules(tmp_path: Path) -> None:
    options = {"gtid_strict_mode": "0", "sync_binlog": "0", "binlog_do_db": "shop"}
    with (
        mariadb_pair(tmp_path / "m", **options) as maria,
        redis_pair(tmp_path / "r", min_replicas_to_write="0") as redis,
    ):
        maria.eu.sql("SET GLOBAL read_only=0")
        file = fleet_file(tmp_path, orders=maria, cache=redis)
        done = run("--data", "--fleet", str(file), "--rpo", "0s", "-o", "json")
        said = {(one["rule"], one["message"].split(":")[0]) for one in json.loads(done.output)}
        each = {(rule, f"orders/{r}") for rule in ("BSD101", "BSD112", "BSD151", "BSD141") for r in ("us", "eu")}
        assert said == {*each, ("BSD131", "orders/eu"), ("BSD201", "cache/us"), ("BSD201", "cache/eu")}
        assert not any(password in done.output for password in PASSWORDS.values())


def test_servers_of_a_multi_active_store_follow_each_other_and_number_rows_apart(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.document["pattern"] = "multi-active"
        for number, server in enumerate((pair.us, pair.eu), 1):
            server.sql("SET GLOBAL read_only=0")
            server.sql(f"SET GLOBAL gtid_domain_id={number}")
        file = fleet_file(tmp_path, orders=pair)

        def said() -> set[tuple[str, str]]:
            done = run("--data", "--fleet", str(file), "-o", "json")
            return {(one["rule"], one["message"].split(":")[0]) for one in json.loads(done.output)}

        assert said() == {("BSD123", "orders/us"), ("BSD123", "orders/eu"), ("BSD124", "orders/us")}
        replicate(pair.us, pair.back)
        for number, server in enumerate((pair.us, pair.eu), 1):
            server.sql("SET GLOBAL auto_increment_increment=2")
            server.sql(f"SET GLOBAL auto_increment_offset={number}")
        assert said() == set()


def test_good_live_servers_have_nothing_to_say(tmp_path: Path) -> None:
    redis_options = {"min_replicas_to_write": "1", "min_replicas_max_lag": "2"}
    with (
        mariadb_pair(tmp_path / "m", semisync=3_600_000) as maria,
        redis_pair(tmp_path / "r", **redis_options) as redis,
    ):
        file = fleet_file(tmp_path, orders=maria, cache=redis)
        done = run("--data", "--fleet", str(file), "--rpo", "0s")
        assert (done.exit_code, done.output) == (0, "4 servers checked: nothing to say\n")
        maria.us.kill()
        done = run("--data", "--fleet", str(file))
        assert done.exit_code == 2
        assert "stores.orders.members.us: cannot be read" in done.output
        document = yaml.safe_load(file.read_text())
        document["services"]["shop"]["stores"] = []
        del document["stores"]
        file.write_text(yaml.safe_dump(document))
        assert "has no `stores`" in run("--data", "--fleet", str(file)).output

"""Lint of backups is not fooled, and does not cry wolf: the same written in another way, and what looks like it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml

from blackstart.plan.backup.check import lint_backups
from blackstart.plan.backup.commands import read_commands
from blackstart.plan.backup.files import read_files
from blackstart.plan.backup.model import Said
from blackstart.plan.backup.templates import canonical, selects

SCHEDULE = """
    apiVersion: velero.io/v1
    kind: Schedule
    metadata: {name: hourly, namespace: velero}
    spec:
      schedule: "0 * * * *"
      template: %s
    ---
    """
LOCATION = """
    apiVersion: velero.io/v1
    kind: BackupStorageLocation
    metadata: {name: default, namespace: velero}
    spec: {provider: aws, default: true, objectStorage: {bucket: backups}, config: %s}
    ---
    """
NODE = """
    apiVersion: v1
    kind: Node
    metadata: {name: n, labels: {topology.kubernetes.io/region: us-east-1}}
    ---
    """
DATABASE = """
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: db, namespace: production}
    spec:
      template:
        metadata: {labels: {app: db}, annotations: %s}
        spec: {containers: [{name: db, image: "%s"}]}
      volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]
    ---
    """
RESTORE = """
    apiVersion: velero.io/v1
    kind: Restore
    metadata: {name: r, namespace: velero}
    spec: {scheduleName: hourly, includedNamespaces: [production], namespaceMapping: {production: drill}%s}
    ---
    """
CONFIG = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: c, namespace: production}
    data: {value: "%s"}
    ---
    """
HOOK = "{pre.hook.backup.velero.io/command: '[\"/dump\"]'%s}"
PRODUCTION = "{includedNamespaces: [production]}"


def lint(folder: Path, *, rpo: float | None = None, **clusters: str) -> list[tuple[str, str]]:
    """Rule and message of every finding about clusters, each one text of YAML."""
    for name, text in clusters.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        parts = [textwrap.dedent(part) for part in text.split("    ---\n")]
        (folder / name / "all.yaml").write_text("---\n".join(parts))
    source = read_files([folder], Said(rpo))
    assert source.problems == ()
    return [(finding.rule, finding.message) for finding in lint_backups(source.backups)]


def rules(folder: Path, *, rpo: float | None = None, **clusters: str) -> set[str]:
    return {rule for rule, _ in lint(folder, rpo=rpo, **clusters)}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("{region: us-east-1}", {"BSB201"}),
        ("{region: eu-west-1}", set()),
        ("{s3Url: 'https://s3.us-east-1.amazonaws.com'}", {"BSB201"}),
        ("{region: eu-west-1, s3Url: 'https://s3-us-east-1.amazonaws.com'}", {"BSB201"}),
        ("{s3Url: 'https://backups.us-east-1.example.com:9000'}", {"BSB201"}),
        # What one's own server takes for a region says nothing of where it is.
        ("{region: us-east-1, s3Url: 'http://198.51.100.7:9000'}", set()),
        ("{region: minio, s3Url: 'http://minio.velero.svc:9000'}", {"BSB202"}),
        ("{region: minio, s3Url: 'http://minio.storage.svc.cluster.local:9000'}", {"BSB202"}),
        ("{s3Url: 'http://[broken'}", set()),
        ("{}", set()),
        ("[]", set()),
    ],
)
def test_where_the_bucket_is(tmp_path: Path, config: str, found: set[str]) -> None:
    assert rules(tmp_path, us=SCHEDULE % PRODUCTION + LOCATION % config + NODE) == found


def test_a_copy_of_the_bucket_elsewhere_is_as_good(tmp_path: Path) -> None:
    here = SCHEDULE % PRODUCTION + LOCATION % "{region: us-east-1}" + NODE
    there = LOCATION % "{region: eu-west-1}"
    copy = there.replace("bucket: backups}", "bucket: copy}, accessMode: ReadOnly")
    assert rules(tmp_path, us=here, eu=copy) == set()
    assert rules(tmp_path, us=here, eu=copy.replace("eu-west-1", "us-east-1")) == {"BSB201"}


def test_who_may_write(tmp_path: Path) -> None:
    both = SCHEDULE % PRODUCTION + LOCATION % "{region: x}"
    assert rules(tmp_path, us=both, eu=both) == {"BSB203"}
    apart = both.replace("bucket: backups", "bucket: backups, prefix: eu")
    assert rules(tmp_path, us=both, eu=apart) == set()
    # The one that makes no backups is named, whatever comes first.
    ((rule, message),) = lint(tmp_path, eu=LOCATION % "{region: x}", us=both)
    assert rule == "BSB203"
    assert message.startswith("us (")


def test_backups_of_a_read_only_location_are_refused(tmp_path: Path) -> None:
    closed = (LOCATION % "{region: x}").replace("default: true", "default: true, accessMode: ReadOnly")
    assert rules(tmp_path, us=SCHEDULE % PRODUCTION + closed) == {"BSB204"}


def test_without_pods_a_hook_in_their_annotations_is_not_run(tmp_path: Path) -> None:
    bare = "{includedNamespaces: [production], excludedResources: [pods, persistentvolumeclaims]%s}"
    dumper = (DATABASE % (HOOK % "", "example.com/dumper:1")).partition("      volumeClaimTemplates")[0] + "    ---\n"
    ((rule, message),) = lint(tmp_path / "a", us=SCHEDULE % (bare % "") + dumper)
    assert (rule, message) == ("BSB313", "leaves pods out: the hook of production/db is not run")
    assert rules(tmp_path / "b", us=SCHEDULE % PRODUCTION + dumper) == set()
    elsewhere = dumper.replace("namespace: production", "namespace: other")
    assert "BSB313" not in rules(tmp_path / "c", us=SCHEDULE % (bare % "") + elsewhere)


NAMESPACE = """
    apiVersion: v1
    kind: Namespace
    metadata: {name: %s}
    ---
    """


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        (NAMESPACE % "velero", set()),
        (NAMESPACE % "velero" + NAMESPACE % "production", set()),
        (NAMESPACE % "velero" + NAMESPACE % "shop", {"BSB301"}),
        # A file with other applications need not have all.
        ((SCHEDULE % "{}").replace("hourly", "all") + CONFIG.replace("production", "shop") % "x", set()),
        ((SCHEDULE % "{}").replace("hourly", "all") + CONFIG.replace("production", "prodution") % "x", {"BSB301"}),
    ],
)
def test_namespaces_that_are_not_in_the_input(tmp_path: Path, objects: str, found: set[str]) -> None:
    assert rules(tmp_path, us=SCHEDULE % PRODUCTION + objects) == found


@pytest.mark.parametrize("name", ["secrets", "Secret", "secret", "secrets.v1"])
def test_a_resource_has_many_names(name: str) -> None:
    assert canonical(name) == "secrets"
    assert canonical("cm") == canonical("ConfigMap") == "configmaps"
    assert canonical("deploy") == canonical("deployments.apps") == "deployments"


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{includedNamespaces: [production], excludedResources: [sts]}", "BSB303"),
        ("{includedNamespaces: [production], includedResources: [pods, pvc, persistentvolumes]}", "BSB303"),
        ("{includedNamespaces: [production], excludedNamespaceScopedResources: ['*']}", "BSB303"),
        ("{includedNamespaces: ['prod*'], excludedResources: [statefulsets]}", "BSB303"),
        ("{excludedResources: [statefulsets]}", "BSB303"),
        ("{excludedNamespaces: [production]}", "BSB106"),
        ("{includedNamespaces: [production], excludedResources: [pvc]}", "BSB311"),
        ("{includedNamespaces: [production], snapshotVolumes: false}", "BSB311"),
        ("{includedNamespaces: [production], excludedResources: [pv]}", "BSB311"),
        ("{includedNamespaces: [production], includedResources: [sts, pods, pvc]}", "BSB311"),
        ("{includedNamespaces: [production], excludedClusterScopedResources: [pv]}", "BSB311"),
        ("{includedNamespaces: [production], includeClusterResources: false}", "BSB311"),
    ],
)
def test_what_is_left_out(tmp_path: Path, template: str, found: str) -> None:
    assert found in rules(tmp_path, us=SCHEDULE % template + DATABASE % (HOOK % "", "postgres:17"))


SERVER = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: velero, namespace: velero}
    spec: {template: {spec: {containers: [{name: velero, image: velero/velero, args: [server, %s]}]}}}
    ---
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: node-agent, namespace: velero}
    spec: {}
    ---
    """


@pytest.mark.parametrize(
    ("server", "template", "annotation", "backed_up"),
    [
        ("--x", "{}", "", False),
        ("--default-volumes-to-fs-backup", "{}", "", True),
        ("--default-volumes-to-fs-backup=true", "{}", "", True),
        ("--default-volumes-to-fs-backup=false", "{}", "", False),
        ("--default-volumes-to-fs-backup", "{defaultVolumesToFsBackup: false}", "", False),
        ("--x", "{defaultVolumesToFsBackup: true}", "", True),
        ("--x", "{defaultVolumesToFsBackup: true}", ", backup.velero.io/backup-volumes-excludes: data", False),
        ("--x", "{defaultVolumesToFsBackup: true}", ", backup.velero.io/backup-volumes-excludes: tmp", True),
        ("--x", "{}", ", backup.velero.io/backup-volumes: 'tmp, data'", True),
        ("--x", "{}", ", backup.velero.io/backup-volumes: tmp", False),
        ("--features=EnableCSI", "{}", "", True),
        ("--features=EnableCSI", "{snapshotVolumes: false}", "", False),
        ("--features=EnableCSI", "{includeClusterResources: false}", "", True),
        ("--x", "{resourcePolicy: {kind: configmap, name: p}}", "", True),
    ],
)
def test_how_a_volume_gets_into_a_backup(
    tmp_path: Path, server: str, template: str, annotation: str, backed_up: bool
) -> None:
    text = SCHEDULE % template + SERVER % server + DATABASE % (HOOK % annotation, "postgres:17")
    assert rules(tmp_path, us=text) == (set() if backed_up else {"BSB311"})


@pytest.mark.parametrize(
    ("image", "database"),
    [
        ("mariadb:11", True),
        ("registry.example.com:5000/bitnami/postgresql-repmgr:16@sha256:0abc", True),
        ("redis", True),
        ("mongo:8", True),
        ("percona/percona-xtradb-cluster:8.0", True),
        ("oliver006/redis_exporter", False),
        ("prom/mysqld-exporter:1", False),
        ("example.com/redis/ui:1", False),
        ("redis-commander:1", False),
        ("example.com/mysql-backup-operator", False),
    ],
)
def test_what_is_a_database(tmp_path: Path, image: str, database: bool) -> None:
    template = "{defaultVolumesToFsBackup: true%s}"
    found = rules(tmp_path, us=SCHEDULE % (template % "") + DATABASE % ("{}", image))
    assert found == ({"BSB321"} if database else set())
    for hook, hooked in (
        ("{name: h, pre: [{exec: {command: [x]}}]}", True),
        ("{name: h, post: [{exec: {command: [x]}}]}", False),
        ("{name: h, includedNamespaces: [other], pre: [{exec: {command: [x]}}]}", False),
        ("{name: h, labelSelector: {matchLabels: {app: web}}, pre: [{exec: {command: [x]}}]}", False),
        ("{name: h, labelSelector: {matchLabels: {app: db}}, pre: [{exec: {command: [x]}}]}", True),
    ):
        hooks = template % f", hooks: {{resources: [{hook}]}}"
        found = rules(tmp_path, us=SCHEDULE % hooks + DATABASE % ("{}", image))
        assert found == ({"BSB321"} if database and not hooked else set())


LEADING = """
    apiVersion: v1
    kind: Service
    metadata: {name: users, namespace: production}
    spec: {type: ExternalName, externalName: users.drill.svc.cluster.local}
    ---
    """


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://users.production.svc:8080/x", "users.production.svc"),
        ("users.production.svc.cluster.local", "users.production.svc.cluster.local"),
        ("http://users.production/x", "users.production"),
        ("db=mysql://app:hunter2@db.production:3306/x", "db.production"),
        ("postgres://app:hunter2@db.production/x", "db.production"),
        ("brokers: a.production:9092,b.production:9092", "a.production"),
        ("http://users:8080", ""),
        ("http://users.staging.svc", ""),
        ("http://users.production.example.com/", ""),
        ("users.production.svcs", ""),
        ("spring.profiles.production", ""),
        ("environment: production", ""),
        ("my-production.svc", ""),
        ("http://app.users.production-2.svc", ""),
    ],
)
def test_what_names_the_old_namespace(tmp_path: Path, value: str, shown: str) -> None:
    text = SCHEDULE % PRODUCTION + RESTORE % "" + LEADING + CONFIG % value
    wanted = [("BSB403", f"{shown} stays so when r restores it as drill")] if shown else []
    assert lint(tmp_path, us=text) == wanted
    # Something that rewrites it may be trusted; nothing is renamed by a mapping onto itself.
    modified = RESTORE % ", resourceModifier: {kind: configmap, name: m}"
    assert rules(tmp_path, us=SCHEDULE % PRODUCTION + modified + LEADING + CONFIG % value) == set()
    same = (RESTORE % ", existingResourcePolicy: update").replace("production: drill", "production: production")
    assert rules(tmp_path, us=SCHEDULE % PRODUCTION + same + LEADING + CONFIG % value) == set()


POLICY = """
    apiVersion: %s/v1
    kind: %s
    metadata: {name: p, namespace: production}
    spec: %s
    ---
    """


@pytest.mark.parametrize(
    ("group", "kind", "spec", "found"),
    [
        ("networking.k8s.io", "NetworkPolicy", "{ingress: [{from: [{namespaceSelector: {matchExpressions: "
         "[{key: kubernetes.io/metadata.name, operator: In, values: [production, x]}]}}]}]}", True),
        ("networking.k8s.io", "NetworkPolicy", "{ingress: [{from: [{namespaceSelector: {matchLabels: "
         "{env: production}}}]}]}", False),
        ("networking.k8s.io", "NetworkPolicy", "{podSelector: {matchLabels: {name: production}}}", False),
        ("security.istio.io", "AuthorizationPolicy",
         "{rules: [{from: [{source: {namespaces: [production]}}]}]}", True),
        ("security.istio.io", "AuthorizationPolicy",
         "{rules: [{from: [{source: {principals: [cluster.local/ns/production/sa/users]}}]}]}", True),
        ("security.istio.io", "AuthorizationPolicy", "{rules: [{to: [{operation: {paths: [/production]}}]}]}", False),
    ],
)  # fmt: skip
def test_policies_that_name_the_old_namespace(tmp_path: Path, group: str, kind: str, spec: str, found: bool) -> None:
    text = SCHEDULE % PRODUCTION + RESTORE % "" + LEADING + POLICY % (group, kind, spec)
    assert rules(tmp_path, us=text) == ({"BSB404"} if found else set())


@pytest.mark.parametrize(
    ("selector", "labels", "wanted"),
    [
        ({}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b"}, True),
        ({"matchLabels": {"a": "c"}}, {"a": "b"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "b"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {"a": "b"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
    ],
)
def test_selectors(selector: dict[str, object], labels: dict[str, str], wanted: bool) -> None:
    assert selects(selector, labels) is wanted


def test_a_slow_schedule_beside_a_fast_one_is_an_archive(tmp_path: Path) -> None:
    fast, slow = SCHEDULE % PRODUCTION, (SCHEDULE % PRODUCTION).replace('"0 * * * *"', '"@daily"')
    archive = slow.replace("name: hourly", "name: archive")
    assert rules(tmp_path, rpo=4000, us=fast + archive) == set()
    assert rules(tmp_path, rpo=4000, us=archive) == {"BSB101"}
    paused = fast.replace("schedule:", "paused: true\n      schedule:")
    assert rules(tmp_path, rpo=4000, us=paused + archive) == {"BSB101", "BSB105"}
    wider = archive.replace(PRODUCTION, "{includedNamespaces: [production, shop]}")
    assert rules(tmp_path, rpo=4000, us=fast + wider) == {"BSB101"}


@pytest.mark.parametrize("bad", [None, 7, "x", [], {}, [None], {"template": None}, {"template": {"ttl": []}}])
def test_objects_that_are_not_what_they_should_be_end_in_no_traceback(tmp_path: Path, bad: object) -> None:
    kinds = [("velero.io/v1", kind) for kind in ("Schedule", "Restore", "BackupStorageLocation", "Backup")]
    kinds += [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("v1", "Node"), ("v1", "ConfigMap")]
    kinds += [("networking.istio.io/v1", "VirtualService"), ("networking.k8s.io/v1", "NetworkPolicy")]
    for key in ("spec", "metadata", "status", "data"):
        documents = [{"apiVersion": version, "kind": kind, key: bad} for version, kind in kinds]
        (tmp_path / "a.yaml").write_text(yaml.safe_dump_all(documents))
        lint_backups(read_files([tmp_path], Said(60)).backups)


def commands(text: str) -> list[tuple[str, str, int | None, object]]:
    """Cluster, kind, line and spec of what a text makes."""
    return [
        (cluster, str(one.data["kind"]), one.place(()).line, one.data["spec"])
        for cluster, one in read_commands(textwrap.dedent(text), "f.sh")
    ]


def test_commands_are_read_as_shells_do() -> None:
    text = """
        # velero schedule create no --schedule "* * * * *"
        echo velero schedule create no --schedule "* * * * *"
        kubectl -n velero get pods
        sudo velero create schedule yes --schedule '0 1 * * *' --include-namespaces a,b --wait \\
          --snapshot-volumes=false --ttl 24h
        velero --kubecontext eu restore create --from-schedule yes --namespace-mappings a:b,c:d && velero x
        velero backup create once --from-schedule yes
        velero schedule create broken --schedule="0 1 * * *
        velero get backups
    """
    schedule = {
        "schedule": "0 1 * * *",
        "template": {"includedNamespaces": ["a", "b"], "snapshotVolumes": False, "ttl": "24h"},
    }
    restore = {"scheduleName": "yes", "namespaceMapping": {"a": "b", "c": "d"}}
    assert commands(text) == [("", "Schedule", 5, schedule), ("eu", "Restore", 7, restore)]


def test_an_installation_is_what_it_makes() -> None:
    made = commands(
        "velero install --provider aws --bucket b --prefix p --use-node-agent --features=EnableCSI \\\n -n v"
    )
    assert [kind for _, kind, *_ in made] == [
        "BackupStorageLocation",
        "VolumeSnapshotLocation",
        "Deployment",
        "DaemonSet",
    ]
    assert [kind for _, kind, *_ in commands("velero install --provider aws --use-volume-snapshots=false")] == [
        "Deployment"
    ]


def test_an_unreadable_shell_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_bytes(b"velero install \xff")
    source = read_files([tmp_path], Said())
    assert [finding.rule for finding in source.problems] == ["BSB001"]

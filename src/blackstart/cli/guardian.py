"""blackstart guardian: what a drill starts in a cluster, to put things back when the drill cannot."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import click


@click.command("guardian")
@click.option("--run", required=True, help="The run.")
@click.option("--lease", required=True, metavar="NAMESPACE/NAME", help="The run's Lease.")
@click.option("--region", required=True, help="The region of this cluster in the fleet.")
@click.option("--uid", required=True, help="The UID of this cluster's kube-system.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="API/NAME=VERBS",
    help="An object, and what putting it back takes, such as apps/v1/deployments/web=get,patch.",
)
@click.option("--slip", "slips", multiple=True, metavar="FAULT", help="A fault whose record is on a ConfigMap.")
def command(run: str, lease: str, region: str, uid: str, targets: tuple[str, ...], slips: tuple[str, ...]) -> None:
    """Watch a run's Lease from inside the cluster; not meant to be started by hand.

    Once nobody has renewed the Lease for its duration, puts back what the run
    changed among the targets, says so in Events, and deletes the Lease. Ends
    when the Lease is gone. Uses the pod's service account.
    """
    # As the first process of a container it would ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from blackstart.fleet.incluster import in_cluster
    from blackstart.fleet.lease import LEASES
    from blackstart.fleet.objects import Ref
    from blackstart.plan.ward import ward_of
    from blackstart.safety.guardian import Guardian, Post

    namespace, _, name = lease.partition("/")
    try:
        ward = ward_of(region, namespace, targets, slips)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--target") from error
    with tempfile.TemporaryDirectory() as folder:
        cluster = in_cluster(uid, Path(folder))
        pod = os.environ.get("POD_NAME", "")
        post = Post(run, Ref(LEASES, namespace, name), cluster, ward, pod)
        Guardian(post, lambda text: click.echo(text, err=True)).watch()

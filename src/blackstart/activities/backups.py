"""Actions around backups. They break nothing: they make what a drill restores later."""

# Not `from __future__ import annotations`: `chaos discover` reads the types of arguments.

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from blackstart.activities.session import context, fleet_of
from blackstart.faults import roles
from blackstart.faults.backing_up import back_up as back_up_namespace
from blackstart.schema.errors import BlackstartError

__all__ = ["back_up"]


def back_up(
    service: str,
    region: str,
    sandbox: bool = False,
    deadline: float = 60,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> str:
    """Have the Velero of a region back up the namespace of a service, or its sandbox, and wait until it is Completed.

    The backup expires after an hour. Its name is returned; a step `restore`
    finds it as `fresh`.
    """
    try:
        fleet, here = fleet_of(configuration), context()
        where = roles.region(fleet, region)
        namespace = roles.workload(fleet, roles.service(fleet, service), where).namespace
        return back_up_namespace(fleet, where, namespace, here.run, sandbox=sandbox, deadline=deadline)
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error

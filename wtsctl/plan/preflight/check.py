"""All checks: which there are, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wtsctl.plan.preflight import pods, quota, rights, secrets, server, storage
from wtsctl.plan.preflight.facts import Facts, Object, Step
from wtsctl.plan.preflight.record import Check, Outcome, Record, skipped

CHECKS: tuple[Check, ...] = (
    server.VERSION,
    server.CLOCK,
    server.KINDS,
    rights.PERMISSIONS,
    server.NAMESPACES,
    pods.POD_SECURITY,
    storage.STORAGE,
    secrets.SECRETS,
    quota.QUOTA,
    quota.LIMIT_RANGE,
    pods.GPUS,
)
BY_NAME = {one.name: one for one in CHECKS}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be read for the checks, beyond what every deploy reads.

    Attributes:
        classes: the StorageClasses.
        nodes: nodes and pods.
        secrets: by namespace and name.
        quotas: ResourceQuotas and LimitRanges, by namespace.
    """

    classes: bool
    nodes: bool
    secrets: tuple[secrets.Name, ...]
    quotas: tuple[str, ...]


def wanted(steps: Sequence[Step]) -> Wanted:
    """What has to be read; nothing where nothing changes."""
    names = dict.fromkeys([*secrets.wanted(steps), *secrets.pulled_with(steps)])
    return Wanted(bool(storage.claims(steps)), pods.asks_for_gpus(steps), tuple(names), tuple(quota.namespaces(steps)))


def check(
    facts: Facts,
    steps: Sequence[Step],
    installation: str,
    permissions: Sequence[Record],
    removed: Sequence[Object] = (),
) -> tuple[Record, ...]:
    """What every check comes to, in their order; each has at least one record.

    Args:
        facts: what was read.
        steps: what the deploy does.
        installation: name of the catalog.
        permissions: from `rights.permissions`.
        removed: what it prunes, once all is applied and before it waits: what its pods take counts as free.
    """
    return (
        *server.version(facts),
        *server.clock(facts),
        *server.kinds(facts, steps),
        *permissions,
        *server.namespaces(facts),
        *pods.pod_security(facts, steps),
        *storage.storage(facts, steps),
        *secrets.secrets(facts, steps),
        *quota.quota(facts, steps, removed),
        *quota.limit_range(facts, steps),
        *pods.gpus(facts, steps, installation, removed),
    )


def unlooked(permissions: Sequence[Record]) -> tuple[Record, ...]:
    """What every check comes to where what is there may not be looked at."""
    left = [one for one in CHECKS if one is not rights.PERMISSIONS]
    return (*permissions, *(skipped(one, "what is there may not be looked at, see permissions") for one in left))


def ignoring(records: Sequence[Record], names: Sequence[str]) -> tuple[Record, ...]:
    """The records with errors of the checks that are named as warnings; `all` names all of them."""
    return tuple(
        replace(one, outcome=Outcome.WARNING)
        if one.outcome is Outcome.ERROR and (one.check.name in names or "all" in names)
        else one
        for one in records
    )

"""Whether a plan still holds: what has become of the objects since it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.plan.changes import Action, Field, declared
from wtsctl.plan.unchanged import applied_fields

if TYPE_CHECKING:
    from wtsctl.cluster.client import Object
    from wtsctl.cluster.dryrun import Compared
    from wtsctl.cluster.prepare import Prepared
    from wtsctl.render.manifest import Manifest


def moved(compared: Sequence[Compared], now: Prepared) -> list[tuple[str, str]]:
    """What of a plan is another object by now, or another value in a field that the manifest sets.

    Returns each identity with what has changed; empty where the plan still holds.
    """
    changed = []
    for one in compared:
        then, live = one.live, now.live(one.manifest)
        if not one.write or one.action is Action.CREATE:
            continue
        if then is not None and live is None and "deletionTimestamp" in then["metadata"]:
            # What was going is gone.
            continue
        if then is None or live is None or then["metadata"].get("uid") != live["metadata"].get("uid"):
            if then is not live:
                changed.append((one.manifest.identity, "it was deleted or made anew since the plan was made"))
            continue
        fields = _differing(declared(then, one.manifest.doc), declared(live, one.manifest.doc))
        if fields:
            changed.append((one.manifest.identity, f"changed since the plan was made: {', '.join(fields)}"))
        elif _record(then, one.manifest) != _record(live, one.manifest):
            changed.append((one.manifest.identity, "its fields changed hands since the plan was made"))
    return changed


def _differing(then: Sequence[Field], now: Sequence[Field]) -> list[str]:
    return list(dict.fromkeys(one.path for one in (*then, *now) if one not in then or one not in now))


def _record(live: Object, manifest: Manifest) -> Any:
    return applied_fields(live, objects.FIELD_MANAGER, manifest.api_version)

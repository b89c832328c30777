"""Who made an object: the chain of its controllers, by ownerReferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.health.state import Object

# InferenceService, Deployment, ReplicaSet, Pod; a loop is nobody's, but a chain of strangers may be made of anything.
_LONGEST = 8


def chain(by_name: Mapping[tuple[str, str, str], Object], item: Object) -> tuple[str, ...]:
    """`KIND/NAME` of `item` and of its owners, the first owner first.

    An owner that is not among the objects is named all the same, and ends the chain.
    """
    namespace = str(item["metadata"].get("namespace", ""))
    found = [f"{item['kind']}/{item['metadata']['name']}"]
    current: Object | None = item
    while current is not None and len(found) < _LONGEST:
        owners = current["metadata"].get("ownerReferences") or []
        owner = next((one for one in owners if one.get("controller")), None)
        if owner is None:
            break
        found.append(f"{owner['kind']}/{owner['name']}")
        current = by_name.get((owner["kind"], namespace, owner["name"]))
    return tuple(reversed(found))

"""What is as it should be is found without a request, and nothing that is not is ever taken for it.

Both are tried on the objects of every catalog of the matrix, as a real API server stores them. The API server says
itself what an apply would change: by applies, edits and patches that it answers and does not carry out.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.every_option import CASES, Case, Server
from wtsctl.cluster import objects
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.plan.changes import comparable
from wtsctl.plan.unchanged import unchanged, why_asked
from wtsctl.render.manifest import Manifest

pytestmark = pytest.mark.cluster

MANAGER = objects.FIELD_MANAGER
# How many changes are tried of each kind of object; the seed is fixed, so that a failure comes again.
TRIES = 40
Applied = list[tuple[Manifest, dict[str, Any]]]


@pytest.fixture(scope="module")
def applied(every_kind: Any) -> Applied:
    """Every object of every catalog without its profiles, as applied and then read back."""
    server = Server(every_kind)

    def one(manifest: Manifest) -> tuple[Manifest, dict[str, Any]]:
        kind = server.discovery.kind(manifest.api_version, manifest.kind)
        objects.apply(server.client, kind, manifest.doc, force=True)
        return manifest, objects.get(server.client, kind, manifest.namespace or "", manifest.name)

    found: Applied = []
    for case in (one for one in CASES if one.profile is None):
        server.surroundings(case.manifests())
        # What several catalogs have in common stands as the last of them has applied it.
        found = [pair for pair in found if pair[0].identity not in {one.identity for one in _whole(case)}]
        found += each(one, _whole(case))
    return found


def _whole(case: Case) -> list[Manifest]:
    return [one for one in case.manifests() if not one.partial]


def one_of_each(applied: Applied) -> Applied:
    """The largest object of each kind."""
    largest: dict[tuple[str, str], tuple[Manifest, dict[str, Any]]] = {}
    for pair in sorted(applied, key=lambda one: len(str(one[0].doc))):
        largest[pair[0].api_version, pair[0].kind] = pair
    return list(largest.values())


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all scalars and of everything empty."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if path or key not in {"apiVersion", "kind"}:
            yield from leaves(inner, (*path, key))
    if not isinstance(value, (dict, list)) or not value:
        yield path


def without(doc: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """A copy without what is at a path."""
    made = copy.deepcopy(doc)
    holder = _holder(made, path)
    del holder[path[-1]]
    return made


def changed(doc: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """A copy with another value at a path."""
    made = copy.deepcopy(doc)
    holder = _holder(made, path)
    value = holder[path[-1]]
    if isinstance(value, bool):
        holder[path[-1]] = not value
    elif isinstance(value, int):
        holder[path[-1]] = value + 1
    else:
        holder[path[-1]] = f"{value}x" if isinstance(value, str) else value
    return made


def _holder(made: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        made = made[key]
    return made


def test_all_of_it_is_found_unchanged_without_a_request(applied: Applied) -> None:
    """Of no object of any catalog the API server has to be asked."""
    assert len(applied) > 100
    assert len({manifest.kind for manifest, _ in applied}) > 20
    asked = {manifest.identity: why_asked(live, manifest.doc, MANAGER) for manifest, live in applied}
    assert {name: why for name, why in asked.items() if why} == {}


def test_a_change_of_the_manifest_is_never_missed(applied: Applied, server: Server) -> None:
    """A value that is another or gone: where it is taken for unchanged, an apply changes nothing indeed."""
    found, missed = 0, []
    for manifest, live in one_of_each(applied):
        chosen = random.Random(manifest.identity)  # noqa: S311 - no secret
        paths = [
            path for path in leaves(manifest.doc) if path[:2] not in {("metadata", "name"), ("metadata", "namespace")}
        ]
        kind = server.discovery.kind(manifest.api_version, manifest.kind)
        for path in chosen.sample(paths, min(TRIES, len(paths))):
            for make in (without, changed):
                wanted = make(manifest.doc, path)
                if wanted == manifest.doc or not unchanged(live, wanted, MANAGER):
                    found += 1
                    continue
                try:
                    _, after = objects.apply(server.client, kind, wanted, force=True, dry_run=True)
                except ApiRefused:
                    missed.append((manifest.identity, path, make.__name__, "refused"))
                    continue
                if comparable(after) != comparable(live):
                    missed.append((manifest.identity, path, make.__name__, "changed"))
    assert missed == []
    assert found > 500


@pytest.mark.parametrize("manager", ["kubectl-edit", MANAGER])
def test_a_change_by_hand_is_never_missed(applied: Applied, server: Server, manager: str) -> None:
    """A field of ours that someone edits, under another field manager's name or under ours, is seen every time."""
    seen, missed = 0, []

    def edit(pair: tuple[Manifest, dict[str, Any]]) -> list[tuple[Any, bool]]:
        manifest, live = pair
        chosen = random.Random(manifest.identity)  # noqa: S311 - no secret
        kind = server.discovery.kind(manifest.api_version, manifest.kind)
        there = set(leaves(live))
        paths = [path for path in leaves(manifest.doc) if path in there and path[-1] not in {"name", "namespace"}]
        tried = []
        for path in chosen.sample(paths, min(TRIES // 4, len(paths))):
            at = kind.path(manifest.namespace or "", manifest.name)
            after = _patched(server, at, edited(live, path), manager)
            if after is not None and comparable(after) != comparable(live):
                tried.append(((manifest.identity, path), unchanged(after, manifest.doc, MANAGER)))
        return tried

    for results in each(edit, one_of_each(applied)):
        seen += len(results)
        missed += [where for where, taken in results if taken]
    assert missed == []
    assert seen > 50


def edited(live: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """A merge patch that changes one value; of a list it has to have all."""
    whole = next((at for at, key in enumerate(path) if isinstance(key, int)), len(path))
    body: Any = _holder(changed(live, path), (*path[:whole], ""))
    for key in reversed(path[:whole]):
        body = {key: body}
    made: dict[str, Any] = body
    return made


def _patched(server: Server, path: str, body: dict[str, Any], manager: str) -> dict[str, Any] | None:
    """What a merge patch would make of an object; None where it is refused."""
    try:
        return server.client.exchange(
            "PATCH",
            path,
            query={"fieldManager": manager, "dryRun": "All"},
            body=body,
            content_type="application/merge-patch+json",
        )[1]
    except ApiRefused:
        return None

"""Every catalog of the matrix deployed: admitted where `restricted` is enforced, and left alone the second time."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.cluster.every_option import MATRIX, Case, Server
from wtsctl.cluster import objects
from wtsctl.cluster.apply import Applied, Outcome, apply_all
from wtsctl.cluster.discovery import DEPLOYMENT, NAMESPACE, Kind
from wtsctl.cluster.observe import own_labels
from wtsctl.cluster.parallel import each
from wtsctl.cluster.prepare import Options, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wtsctl.cluster.client import Object
    from wtsctl.render.manifest import Manifest

pytestmark = pytest.mark.cluster

JOB = Kind("batch/v1", "Job", "jobs")
SECONDS = 60.0


@pytest.fixture(params=MATRIX, ids=lambda file: file.stem)
def manifests(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[tuple[Manifest, ...]]:
    """A catalog of the matrix, rendered for namespaces of its own, which are there."""
    source: Path = request.param
    shutil.copytree(source.parent, tmp_path, dirs_exist_ok=True)
    case = Case(tmp_path / source.name)
    case.file.write_text(source.read_text().replace("matrix-", f"{uuid4().hex[:6]}-"))
    # As `deploy` renders it: without parts of objects that are somebody else's.
    rendered = tuple(one for one in case.manifests() if not one.partial)
    namespaces = server.surroundings(rendered)
    yield rendered
    each(lambda name: objects.delete(server.client, NAMESPACE, "", name), namespaces)
    for one in rendered:
        if one.namespace is None and one.kind != NAMESPACE.kind:
            objects.delete(server.client, server.discovery.kind(one.api_version, one.kind), "", one.name)


def test_everything_is_admitted_and_a_second_deploy_changes_nothing(
    manifests: tuple[Manifest, ...], server: Server
) -> None:
    """All is created, every pod of it too, and what is there is what a second deploy wants, in the same spelling."""
    assert Counter(one.outcome for one in deployed(server, manifests))[Outcome.CREATED] > 0
    assert without_pods(server, {one.namespace for one in manifests if one.namespace}) == []
    assert [one for one in deployed(server, manifests) if one.outcome is not Outcome.UNCHANGED] == []


def deployed(server: Server, manifests: tuple[Manifest, ...]) -> tuple[Applied, ...]:
    """What became of each object, in a deploy that applied them all."""
    labels = own_labels(manifests[0].doc["metadata"]["labels"]["app.kubernetes.io/part-of"])
    options = Options()
    prepared = prepare(server.client, server.discovery, manifests, labels, options)
    result = apply_all(server.client, prepared, options, lambda _: None)
    assert result.complete, [one.problem for one in result.objects if one.problem]
    return result.objects


def without_pods(server: Server, namespaces: set[str]) -> list[str]:
    """The Deployments and Jobs for which the cluster has not made every pod, after it had time to."""
    deadline = time.monotonic() + SECONDS
    while True:
        lists = each(
            lambda where: objects.list_all(server.client, *where)[0],
            [(kind, name) for kind in (DEPLOYMENT, JOB) for name in sorted(namespaces)],
        )
        missing = [
            f"{item['metadata']['namespace']}/{item['kind']}/{item['metadata']['name']}: {item.get('status')}"
            for items in lists
            for item in items
            if not _has_pods(item)
        ]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.2)


def _has_pods(item: Object) -> bool:
    """Whether the controllers have made what a Deployment or a Job asks for, running or not."""
    status = item.get("status", {})
    if item["kind"] == JOB.kind:
        return bool(status.get("active"))
    seen = status.get("observedGeneration") == item["metadata"]["generation"]
    return bool(seen and status.get("replicas", 0) == item["spec"]["replicas"])

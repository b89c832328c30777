"""`delete` on a real API server: what goes, what stays, and that both are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import namespace
from tests.command import on_a_screen
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CLAIM, CONFIG_MAP, DEPLOYMENT, NAMESPACE, SERVICE

if TYPE_CHECKING:
    from tests.cluster.conftest import MakeCatalog
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.discovery import Kind

pytestmark = pytest.mark.cluster


def names(client: Client, kind: Kind, space: str) -> set[str]:
    """What there is of a kind."""
    return {one["metadata"]["name"] for one in objects.list_all(client, kind, space)[0]}


def test_everything_goes(catalog: MakeCatalog, client: Client, space: str) -> None:
    """After delete even the namespace is gone, and a second delete finds nothing and is content."""
    wtsctl = catalog()
    wtsctl("deploy")
    done = wtsctl.json("delete", "--yes")
    assert done.code == 0, done.stderr
    assert set(done.outcomes.values()) == {"deleted"}
    assert f"Namespace/{space}" in done.outcomes
    assert space not in names(client, NAMESPACE, "")
    again = wtsctl.json("delete", "--yes")
    assert (again.code, again.data["objects"]) == (0, [])
    assert "nothing to delete" in again.stderr


def test_someone_has_to_agree(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Without a terminal and without --yes nothing is deleted, and that is a usage error."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    done = wtsctl.json("delete")
    assert (done.code, done.errors[0]["code"]) == (2, "usage")
    assert "--yes" in done.errors[0]["message"]
    assert names(client, DEPLOYMENT, space) == {"only"}


@pytest.mark.parametrize("keys", [b"n\r", b"\x03", b"\x04"], ids=["no", "ctrl-c", "ctrl-d"])
def test_a_person_is_asked(catalog: MakeCatalog, client: Client, space: str, keys: bytes) -> None:
    """On a terminal the question names what would go, and every answer but yes leaves it, with exit 130."""
    wtsctl = catalog("only")
    assert wtsctl("deploy", "--no-wait").code == 0
    code, shown = on_a_screen(wtsctl.arguments("delete"), until=b"delete? [y/N]", keys=keys)
    assert code == 130
    assert f"{space}/Deployment/only" in shown
    assert "nothing was deleted" in shown
    assert "pending" not in shown
    assert names(client, DEPLOYMENT, space) == {"only"}


def test_what_came_in_while_a_person_was_asked_stays(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A namespace is looked into again before it goes: what someone made meanwhile is not deleted with it."""
    wtsctl = catalog("only")
    assert wtsctl("deploy", "--no-wait").code == 0
    late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": space}}
    code, shown = on_a_screen(
        wtsctl.arguments("delete"),
        until=b"delete? [y/N]",
        meanwhile=lambda: objects.apply(client, CONFIG_MAP, late),
        keys=b"y\r",
    )
    assert code == 0
    assert f"it holds {space}/ConfigMap/theirs" in shown
    assert "theirs" in names(client, CONFIG_MAP, space)
    assert names(client, DEPLOYMENT, space) == set()


def test_only_the_named_model(catalog: MakeCatalog, client: Client, space: str) -> None:
    """The objects of the other model, and what both share, stay."""
    wtsctl = catalog()
    wtsctl("deploy")
    done = wtsctl.json("delete", "first", "--yes")
    assert done.code == 0
    assert set(done.outcomes) == {f"{space}/Deployment/first", f"{space}/Service/first"}
    assert names(client, DEPLOYMENT, space) == names(client, SERVICE, space) == {"second"}
    assert wtsctl.json("delete", "third", "--yes").code == 9


def test_a_namespace_with_something_else_in_it_stays(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A namespace that wtsctl made is kept when someone put something into it, and what is said."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": space}}
    objects.apply(client, CONFIG_MAP, foreign)
    done = wtsctl.json("delete", "--yes")
    assert done.code == 0
    kept = next(one for one in done.data["objects"] if one["outcome"] == "kept")
    assert kept["identity"] == f"Namespace/{space}"
    assert f"{space}/ConfigMap/theirs" in kept["note"]
    assert "theirs" in names(client, CONFIG_MAP, space)
    assert names(client, DEPLOYMENT, space) == set()


def test_a_namespace_that_was_there_before_stays(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A namespace that someone else made is not ours to delete, even when it is empty afterwards."""
    namespace(client, space)
    wtsctl = catalog("only")
    wtsctl("deploy")
    done = wtsctl.json("delete", "--yes")
    assert done.code == 0
    assert f"Namespace/{space}" not in done.outcomes
    assert space in names(client, NAMESPACE, "")
    assert names(client, DEPLOYMENT, space) == names(client, SERVICE, space) == set()


def test_objects_without_our_labels_stay(catalog: MakeCatalog, client: Client, space: str) -> None:
    """An object of the same kind beside ours, and one that lost our label, are not touched."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    port = [{"name": "http", "port": 80}]
    other = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "theirs", "namespace": space},
        "spec": {"ports": port},
    }
    objects.apply(client, SERVICE, other)
    done = wtsctl.json("delete", "--yes")
    assert done.code == 0
    assert names(client, SERVICE, space) == {"theirs"}


def test_volumes_are_named_aloud_and_can_be_kept(catalog: MakeCatalog, client: Client, space: str) -> None:
    """--keep-cache keeps the claim and its namespace; without it the claim's data is said to go."""
    wtsctl = catalog("only", runtime="vllm", model="org/model", more="cache: {claim: weights, size: 1Gi}\n")
    wtsctl("deploy", "--ignore-preflight-errors", "storage-class")
    kept = wtsctl.json("delete", "--yes", "--keep-cache")
    assert kept.code == 0
    assert kept.outcomes[f"{space}/PersistentVolumeClaim/weights"] == "kept"
    assert kept.outcomes[f"Namespace/{space}"] == "kept"
    assert kept.outcomes[f"{space}/Deployment/only"] == "deleted"
    assert names(client, CLAIM, space) == {"weights"}
    gone = wtsctl.json("delete", "--yes")
    assert f"{space}/PersistentVolumeClaim/weights and the data on its volume" in gone.stderr
    assert gone.outcomes == {f"{space}/PersistentVolumeClaim/weights": "deleted", f"Namespace/{space}": "deleted"}


def test_a_model_that_left_the_catalog_goes_too(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A whole delete goes by the labels, so that nothing of an older catalog is left behind."""
    namespace(client, space)
    wtsctl = catalog("old", "new")
    wtsctl("deploy")
    smaller = catalog("new")
    done = smaller.json("delete", "--yes")
    assert done.outcomes[f"{space}/Deployment/old"] == "deleted"
    assert names(client, DEPLOYMENT, space) == names(client, SERVICE, space) == set()


def test_what_does_not_go_is_named(catalog: MakeCatalog, client: Client, space: str) -> None:
    """An object that a finalizer holds is named at the timeout, with exit 5."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    patch = "application/merge-patch+json"
    client.exchange("PATCH", SERVICE.path(space, "only"), body=held, content_type=patch)
    try:
        done = wtsctl.json("delete", "--yes", "--timeout", "3s")
        assert done.code == 5
        assert done.data["left"] == [f"{space}/Service/only"]
        assert f"{space}/Service/only" in done.errors[0]["message"]
    finally:
        client.exchange(
            "PATCH", SERVICE.path(space, "only"), body={"metadata": {"finalizers": None}}, content_type=patch
        )

"""Before a deploy: what the cluster lacks is found and told at once, and nothing is applied."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster.conftest import namespace, quota
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import DEPLOYMENT, NAMESPACE, SERVICE_ACCOUNT, Kind
from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.command import Ran
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
SECRET = "secrets:\n  huggingface: {name: hf-token, key: HF_TOKEN}\n"
LOOK = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}


def checks(done: Ran, *outcomes: str) -> set[tuple[str, str]]:
    """Check and object of every record with one of these outcomes."""
    return {(one["check"], one["where"]) for one in done.data["checks"] if one["outcome"] in outcomes}


def account(client: Client, control_plane: Path, space: str, rules: list[dict[str, Any]], file: Path) -> Path:
    """The kubeconfig of an account that has these rights in the namespace, and no others."""
    subject = {"kind": "ServiceAccount", "name": "few", "namespace": space}
    metadata = {"name": "few", "namespace": space}
    objects.apply(client, SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    objects.apply(client, ROLE, role, force=True)
    reference = {"apiGroup": rbac, "kind": "Role", "name": "few"}
    binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": metadata}
    objects.apply(client, BINDING, binding | {"roleRef": reference, "subjects": [subject]})
    path = f"{SERVICE_ACCOUNT.path(space, 'few')}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = client.exchange("POST", path, body=body)[1]["status"]["token"]
    document = yaml.safe_load(control_plane.read_text())
    document["users"][0]["user"] = {"token": token}
    file.write_text(yaml.safe_dump(document))
    return file


def test_rights_that_are_lacking_are_told_at_once(
    catalog: MakeCatalog, client: Client, control_plane: Path, space: str, tmp_path: Path
) -> None:
    """A user without any rights, and one who may not make Deployments, are each told exactly which they lack."""
    namespace(client, space)
    wtsctl = catalog("first", "second")
    user = f'User "system:serviceaccount:{space}:few" may not'

    def run(*rules: dict[str, Any]) -> Ran:
        kubeconfig = account(client, control_plane, space, list(rules), tmp_path / "few.kubeconfig")
        return type(wtsctl)(wtsctl.catalog, kubeconfig).json("deploy", "--no-wait")

    done = run()
    assert done.code == 4
    assert {one["code"] for one in done.errors} == {"preflight.permissions"}
    told = {one["message"] for one in done.errors}
    assert {f'{user} list {what} in the namespace "{space}"' for what in ("deployments.apps", "services")} <= told
    assert all("see docs/reference/preflight.md#permissions" in one["hint"] for one in done.errors)
    makes = {"apiGroups": ["", "coordination.k8s.io"], "resources": ["*"], "verbs": ["create", "patch", "update"]}
    done = run(LOOK, makes)
    assert done.code == 4
    assert [one["message"] for one in done.errors] == [
        f'{user} create, patch deployments.apps first, second in the namespace "{space}"'
    ]
    assert set(done.outcomes.values()) == {"not-applied", "unchanged"}
    assert objects.list_all(client, DEPLOYMENT, space)[0] == []
    # With that right it goes on, whatever else it may not look at.
    done = run(LOOK, makes, {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "patch"]})
    assert done.code == 0, done.stderr
    assert "preflight" not in done.stderr


def test_a_volume_without_a_class(catalog: MakeCatalog, client: Client, space: str) -> None:
    """No default StorageClass: nothing is applied, the namespace neither; who says so goes on all the same."""
    wtsctl = catalog("only", runtime="vllm", model="a/b", gpus=1, more="cache: {claim: weights, size: 1Gi}\n")
    done = wtsctl.json("deploy", "--no-wait")
    assert done.code == 4
    claim = f"{space}/PersistentVolumeClaim/weights"
    assert [(one["code"], one["where"]) for one in done.errors] == [("preflight.storage-class", claim)]
    assert "has no default" in done.errors[0]["message"]
    with pytest.raises(ApiRefused, match="not found"):
        objects.get(client, NAMESPACE, "", space)
    wrong = wtsctl("deploy", "--no-wait", "--ignore-preflight-errors", "storage")
    assert (wrong.code, "did you mean storage-class?" in wrong.stderr) == (2, True)
    done = wtsctl.json("deploy", "--no-wait", "--ignore-preflight-errors", "storage-class")
    assert done.code == 0, done.stderr
    assert f"warning: {claim}: it names no StorageClass" in done.stderr
    assert [(one["check"], one["outcome"]) for one in done.data["preflight"]] == [("storage-class", "warning")]
    # It is there now, and needs no class any more.
    again = wtsctl.json("deploy", "--no-wait")
    assert (again.code, again.data["preflight"]) == (0, [])


def test_everything_that_is_wrong_is_told(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A Secret without its key, a quota, Pod Security and GPUs, in each form of output."""
    namespace(client, space, labels={"pod-security.kubernetes.io/enforce": "restricted"})
    quota(client, space, {"requests.nvidia.com/gpu": "3"})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token", "namespace": space}}
    path = f"/api/v1/namespaces/{space}/secrets"
    client.exchange("POST", path, body=secret | {"stringData": {"token": "not-a-real-token"}})
    host = "[{kind: Deployment, merge: {spec: {template: {spec: {hostNetwork: true}}}}}]"
    wtsctl = catalog("one", "two", runtime="vllm", model="a/b", gpus=2, replicas=1, patches=host, more=SECRET)
    done = wtsctl.json("deploy", "--preflight-only")
    assert done.code == 4, done.stderr
    assert checks(done, "error") == {
        ("secrets", f"{space}/Secret/hf-token"),
        ("quota", f"{space}/ResourceQuota/limits"),
    }
    deployments = {f"{space}/Deployment/{name}" for name in ("one", "two")}
    assert checks(done, "warning") == {(check, one) for check in ("gpus", "pod-security") for one in deployments}
    assert {one["code"] for one in done.errors} == {"preflight.secrets", "preflight.quota"}
    assert "it has no key HF_TOKEN (it has token), and one, two would not start" in done.stdout
    assert "4 more asked for, 3 free" in done.stdout
    assert "not-a-real-token" not in done.stdout + done.stderr
    short = wtsctl("deploy", "--preflight-only", "-o", "short")
    assert short.code == 4
    assert Counter(line.split()[0] for line in short.stdout.splitlines())["error"] == 2
    assert "\x1b" not in short.stdout + short.stderr
    refused = wtsctl.json("deploy", "--no-wait")
    assert refused.code == 4
    assert {one["code"] for one in refused.errors} == {"preflight.secrets", "preflight.quota"}
    assert objects.list_all(client, DEPLOYMENT, space)[0] == []


def test_kinds_and_a_namespace_that_goes(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A kind that is not served is named with who needs it, beside a namespace that is being deleted."""
    namespace(client, space, finalizers=["test.wtsctl.io/hold"])
    objects.delete(client, NAMESPACE, "", space)
    try:
        done = catalog("only", runtime="kserve", model="a/b", replicas=1).json("deploy", "--preflight-only")
        assert done.code == 4, done.stderr
        assert checks(done, "error") == {("kinds", "needed by only"), ("namespaces", f"Namespace/{space}")}
    finally:
        patch: dict[str, Any] = {"metadata": {"finalizers": []}}
        kind = "application/merge-patch+json"
        client.exchange("PATCH", NAMESPACE.path("", space), body=patch, content_type=kind)


def test_how_many_requests(catalog: MakeCatalog, forwarder: Forwarder) -> None:
    """The checks of 40 models take as many requests as those of 2; where nothing changed they take two."""

    def asked(*names: str, run: tuple[str, ...] = ("deploy", "--preflight-only")) -> tuple[int, Counter[str]]:
        forwarder.asked.clear()
        done = catalog(*names, kubeconfig=forwarder.kubeconfig)(*run)
        assert done.code == 0, done.stderr
        return len(forwarder.asked), Counter(path.split("/")[-1] for path in forwarder.asked)

    few, _ = asked("one", "two")
    many, paths = asked(*(f"m{at}" for at in range(40)))
    assert few == many
    assert paths["selfsubjectaccessreviews"] == 1
    asked("one", "two", run=("deploy", "--no-wait"))
    _, paths = asked("one", "two", run=("deploy", "--no-wait"))
    assert paths["version"] + paths["selfsubjectaccessreviews"] == 2
    looked = {"storageclasses", "nodes", "pods", "resourcequotas", "limitranges", "persistentvolumes"}
    assert looked.isdisjoint(paths)


def test_an_api_server_that_is_not_there(catalog: MakeCatalog, control_plane: Path, tmp_path: Path) -> None:
    """Nobody answers: exit 4, said as of every command."""
    document = yaml.safe_load(control_plane.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "gone.kubeconfig").write_text(yaml.safe_dump(document))
    done = catalog(kubeconfig=tmp_path / "gone.kubeconfig").json("deploy", "--preflight-only")
    assert done.code == 4
    assert done.errors[0]["code"] == "cluster.unreachable"

"""Our strategic merge beside kubectl's own, and its merge keys beside those that a real API server publishes."""

from __future__ import annotations

import json
import subprocess
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandboxes import CONTROL_PLANE
from wtsctl.render import kinds, merge
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "n", "labels": {"a": "1", "b": "2"}, "finalizers": ["x/a", "x/b"]},
    "spec": {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "selector": {"matchLabels": {"a": "1"}},
        "template": {
            "metadata": {"labels": {"a": "1"}, "annotations": {"k": "v"}},
            "spec": {
                "nodeSelector": {"gpu": "a100"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "first"}],
                "initContainers": [{"name": "wait", "image": "w:1"}],
                "containers": [
                    {
                        "name": "server",
                        "image": "s:1",
                        "args": ["--a", "--b"],
                        "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}, {"name": "SIX"}],
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}},
                        "volumeMounts": [{"name": "home", "mountPath": "/home"}, {"name": "tmp", "mountPath": "/tmp"}],
                        "securityContext": {"capabilities": {"drop": ["ALL"]}},
                    },
                    {"name": "side", "image": "c:1"},
                ],
                "volumes": [{"name": "home", "emptyDir": {}}, {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            },
        },
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "n"},
    "spec": {
        "selector": {"a": "1"},
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 53}],
    },
}
BUDGET: dict[str, Any] = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "p", "namespace": "n"},
    "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "1"}, "matchExpressions": []}},
}


def pods(**fields: Any) -> dict[str, Any]:
    """A patch of the pod template's spec."""
    return {"spec": {"template": {"spec": fields}}}


def server(**fields: Any) -> dict[str, Any]:
    """A patch of the container `server`."""
    return pods(containers=[{"name": "server", **fields}])


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "scalar": (DEPLOYMENT, {"spec": {"replicas": 5}}),
    "null": (DEPLOYMENT, {"metadata": {"labels": {"a": None, "new": "3"}}, "spec": {"replicas": None}}),
    "null of what is not there": (DEPLOYMENT, {"spec": {"paused": None, "template": {"spec": {"hostPID": None}}}}),
    "image": (DEPLOYMENT, server(image="s:2")),
    "new container": (DEPLOYMENT, pods(containers=[{"name": "log", "image": "l:1"}])),
    "new and known": (DEPLOYMENT, pods(containers=[{"name": "log", "image": "l:1"}, {"name": "side", "tty": True}])),
    "other order": (DEPLOYMENT, pods(containers=[{"name": "side", "tty": True}, {"name": "server", "tty": True}])),
    "delete container": (DEPLOYMENT, pods(containers=[{"name": "side", "$patch": "delete"}])),
    "delete unknown": (DEPLOYMENT, pods(containers=[{"name": "none", "$patch": "delete"}])),
    "replace containers": (DEPLOYMENT, pods(containers=[{"name": "x", "image": "x"}, {"$patch": "replace"}])),
    "replace one": (DEPLOYMENT, pods(initContainers=[{"name": "wait", "image": "w:2", "env": [{"name": "A"}]}])),
    "env": (DEPLOYMENT, server(env=[{"name": "NEW", "value": "n"}, {"name": "TWO", "value": "22"}])),
    "env by reference": (
        DEPLOYMENT,
        server(env=[{"name": "ONE", "value": None, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
    ),
    "env delete": (DEPLOYMENT, server(env=[{"name": "ONE", "$patch": "delete"}, {"name": "SIX", "value": "6"}])),
    "args are atomic": (DEPLOYMENT, server(args=["--c"])),
    "ports": (DEPLOYMENT, server(ports=[{"containerPort": 8000, "name": "web"}, {"containerPort": 9, "name": "m"}])),
    "mounts": (DEPLOYMENT, server(volumeMounts=[{"name": "shm", "mountPath": "/dev/shm"}])),
    "volumes": (DEPLOYMENT, pods(volumes=[{"name": "tmp", "emptyDir": {"medium": "Memory"}}, {"name": "x"}])),
    "volume of another kind": (
        DEPLOYMENT,
        pods(volumes=[{"name": "home", "emptyDir": None, "persistentVolumeClaim": {"claimName": "c"}}]),
    ),
    "volume retain keys": (
        DEPLOYMENT,
        pods(volumes=[{"name": "home", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]),
    ),
    "tolerations are atomic": (DEPLOYMENT, pods(tolerations=[{"operator": "Exists"}])),
    "pull secrets": (DEPLOYMENT, pods(imagePullSecrets=[{"name": "second"}])),
    "spread constraints": (DEPLOYMENT, pods(topologySpreadConstraints=[{"topologyKey": "zone", "maxSkew": 1}])),
    "strategy": (DEPLOYMENT, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
    "map replace": (DEPLOYMENT, pods(nodeSelector={"$patch": "replace", "zone": "a"})),
    "map delete": (DEPLOYMENT, pods(nodeSelector={"$patch": "delete"})),
    "map delete of nothing": (DEPLOYMENT, pods(affinity={"$patch": "delete"})),
    "resources": (DEPLOYMENT, server(resources={"limits": {"nvidia.com/gpu": "1"}, "requests": None})),
    "capabilities": (DEPLOYMENT, server(securityContext={"capabilities": {"add": ["NET_ADMIN"], "drop": ["NET_RAW"]}})),
    "finalizers": (DEPLOYMENT, {"metadata": {"finalizers": ["x/c", "x/a"]}}),
    "finalizers out": (DEPLOYMENT, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}),
    "service ports": (SERVICE, {"spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "name": "d"}]}}),
    "service port twice": (SERVICE, {"spec": {"ports": [{"port": 53, "targetPort": 5353}]}}),
    "budget selector": (BUDGET, {"spec": {"selector": {"matchLabels": {"b": "2"}}}}),
}


@pytest.fixture
def kubectl(control_plane: Path) -> Path:
    """The kubectl that the sandbox was built with."""
    assert control_plane.exists()
    return Layout.of(CONTROL_PLANE).state / "bin" / "kubectl"


def ours(item: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The object after our own merge."""
    return merge.strategic(item, patch, merge.rules(item["apiVersion"], item["kind"]))


def kubectls(kubectl: Path, folder: Path, item: Mapping[str, Any], patch: Mapping[str, Any]) -> Any:
    """The object after kubectl's merge."""
    (folder / "object.json").write_text(json.dumps(item))
    command = [str(kubectl), "patch", "--local", "-f", str(folder / "object.json"), "--type=strategic", "-o", "json"]
    done = subprocess.run([*command, "-p", json.dumps(patch)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_merges_as_kubectl_does(kubectl: Path, tmp_path: Path, case: str) -> None:
    """A patch gives the object that kubectl gives, with every list in the same order; its input stays as it was."""
    item, patch = CASES[case]
    before = json.dumps([item, patch])
    merged = ours(item, patch)
    assert json.dumps([item, patch]) == before
    # kubectl writes what it read through Go's types, which add an empty `status` and such; so ours goes there too.
    assert kubectls(kubectl, tmp_path, merged, {}) == kubectls(kubectl, tmp_path, item, patch)


Field = tuple[str, str, bool, bool]


def published(definitions: Mapping[str, Any], name: str, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every field with a patch strategy below a type of the API server's: path, merge key, merged, replaced."""
    for key, spec in definitions[name].get("properties", {}).items():
        strategy = set(spec.get("x-kubernetes-patch-strategy", "").split(","))
        at = (*path, key)
        if strategy & {"merge", "replace"}:
            yield ".".join(at), spec.get("x-kubernetes-patch-merge-key", ""), "merge" in strategy, "replace" in strategy
        below = spec.get("$ref") or spec.get("items", {}).get("$ref", "")
        # A list that is not merged is replaced with all that is in it; `status` is nobody's to patch.
        if below and key != "status" and ("items" not in spec or "merge" in strategy):
            yield from published(definitions, below.rpartition("/")[2], at)


def held(parts: Mapping[str, merge.Rule], path: tuple[str, ...] = ()) -> Iterator[Field]:
    """The same of our own rules."""
    for key, rule in parts.items():
        if rule.merged or rule.replaced:
            yield ".".join((*path, key)), rule.key, rule.merged, rule.replaced
        yield from held(rule.parts or {}, (*path, key))


def test_merge_keys_are_those_of_the_api_server(client: Client) -> None:
    """For every kind of Kubernetes' own, what is merged by which key is what the API server publishes."""
    definitions = client.request("GET", "/openapi/v2", where="openapi")["definitions"]
    compared = 0
    wrong: dict[str, set[Field]] = {}
    for name, definition in definitions.items():
        for identity in definition.get("x-kubernetes-group-version-kind", ()):
            api_version = "/".join(part for part in (identity["group"], identity["version"]) if part)
            kind = identity["kind"]
            mine = name.startswith("io.k8s.api.") and kinds.everywhere(api_version)
            # A ComponentStatus is nothing but status.
            if not mine or "metadata" not in definition["properties"] or kind.endswith(("List", "ComponentStatus")):
                continue
            wanted = {field for field in published(definitions, name) if not field[0].startswith("status")}
            if different := set(held(merge.rules(api_version, kind))) ^ wanted:
                wrong[f"{api_version} {kind}"] = different
            compared += 1
    assert compared > 40
    assert wrong == {}


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("spec.template.spec.containers", [{"image": "x"}], "spec.template.spec.containers: every item needs `name`"),
        ("spec", {"$patch": "merge"}, "spec.$patch: expected replace or delete, got 'merge'"),
        ("spec.template", {"$setElementOrder/containers": []}, "is no directive that is understood"),
        ("spec.strategy", {"$retainKeys": ["type"], "rollingUpdate": {}}, "$retainKeys has to list every key"),
    ],
)
def test_what_cannot_be_merged_is_refused(path: str, value: Any, text: str) -> None:
    """A patch without a merge key, or with a directive that is not understood, says where and why."""
    patch = reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)
    with pytest.raises(merge.Unmergeable) as caught:
        ours(DEPLOYMENT, patch)
    assert text in str(caught.value)

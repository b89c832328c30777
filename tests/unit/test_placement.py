"""From manifests and nodes to who goes where, why one goes nowhere, and what makes room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wtsctl.errors import TemplateError
from wtsctl.plan.groups import Group, groups
from wtsctl.plan.nodes import BadNode, Node, inventory
from wtsctl.plan.placement import Placement, more_nodes, place
from wtsctl.plan.remedies import Remedy
from wtsctl.plan.requests import Need, need, refusal
from wtsctl.plan.verdict import Verdict
from wtsctl.pods.requests import amount, requests

GPU = "nvidia.com/gpu"
PRODUCT = "NVIDIA-A100-SXM4-80GB"
TAINT = {"key": GPU, "effect": "NoSchedule"}
TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}


def container(**wanted: str) -> dict[str, Any]:
    """A container that requests some resources; `gpu` is NVIDIA's."""
    asked = {GPU if name == "gpu" else name: value for name, value in wanted.items()}
    return {"name": "c", "resources": {"requests": asked, "limits": asked}}


def deployment(name: str, spec: Mapping[str, Any] | None = None, replicas: int = 1, **wanted: str) -> dict[str, Any]:
    """A Deployment of one container."""
    pod = {"containers": [container(**wanted)], "tolerations": [TOLERATION], **(spec or {})}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"replicas": replicas, "template": {"spec": pod}},
    }


def node_document(name: str, gpus: int = 0, cpu: str = "64", memory: str = "512Gi", **more: Any) -> dict[str, Any]:
    """A Node; with GPUs it carries their product and the usual taint."""
    labels = {"nvidia.com/gpu.product": PRODUCT} if gpus else {}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels | more.get("labels", {})},
        "spec": {"taints": [TAINT] if gpus else [], **more.get("spec", {})},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110", GPU: str(gpus)}},
    }


def pod_document(name: str, node: str, phase: str = "Running", **wanted: str) -> dict[str, Any]:
    """A pod of somebody else."""
    spec = {"nodeName": node, "containers": [container(**wanted)]}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "x"}, "spec": spec, "status": {"phase": phase}}


def nodes(*documents: Mapping[str, Any]) -> tuple[Node, ...]:
    """The nodes among some documents."""
    return inventory(documents).nodes


def made(*documents: Mapping[str, Any]) -> tuple[Group, ...]:
    """The pods of some objects; each is a model of its own."""
    return groups((doc, doc["metadata"]["name"]) for doc in documents)


def placed(what: Sequence[Group], on: Sequence[Node]) -> dict[str, Placement]:
    """What becomes of each object, by its name."""
    return {one.owner.rpartition("/")[2]: one for one in place(what, on, lambda _group, _node: "")}


def test_requests_of_a_pod() -> None:
    """Containers add up with sidecars; init containers run alone; a limit without a request is one."""
    pod = {
        "initContainers": [
            container(cpu="100m") | {"restartPolicy": "Always"},
            container(cpu="3", memory="1Gi"),
        ],
        "containers": [container(cpu="500m", memory="2Gi"), {"resources": {"limits": {"cpu": "1", GPU: "2"}}}, {}],
        "overhead": {"cpu": "250m"},
    }
    # The second init container beside the sidecar: 3.1 CPUs, more than the 1.6 of what runs later.
    assert requests(pod) == {"cpu": 3100 + 250, "memory": 2 * 2**30, GPU: 2, "pods": 1}
    assert requests({"containers": [container(cpu="0.0001")], "resources": {"requests": {"cpu": "2"}}})["cpu"] == 2000


@pytest.mark.parametrize(
    ("pod", "taints", "refused"),
    [
        ({}, [], ""),
        ({}, [TAINT], "taint nvidia.com/gpu:NoSchedule"),
        ({}, [{"key": "a", "value": "b", "effect": "NoExecute"}], "taint a=b:NoExecute"),
        ({}, [{"key": "a", "effect": "PreferNoSchedule"}], ""),
        ({"tolerations": [TOLERATION]}, [TAINT], ""),
        ({"tolerations": [{"operator": "Exists"}]}, [TAINT], ""),
        ({"tolerations": [{"key": GPU, "value": "true"}]}, [TAINT], "taint nvidia.com/gpu:NoSchedule"),
        ({"tolerations": [{"key": GPU, "value": "true"}]}, [TAINT | {"value": "true"}], ""),
        ({"tolerations": [TOLERATION]}, [TAINT | {"effect": "NoExecute"}], "taint nvidia.com/gpu:NoExecute"),
        ({"nodeSelector": {"zone": "a"}}, [], ""),
        ({"nodeSelector": {"zone": "b"}}, [], "no label zone=b"),
    ],
)
def test_taints_and_labels(pod: dict[str, Any], taints: list[dict[str, str]], refused: str) -> None:
    """A pod goes where its selector matches and each taint is tolerated, by key, value and effect."""
    assert refusal(need({"containers": []} | pod), {"zone": "a"}, taints) == refused


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "zone", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "zone", "operator": "Exists"}, True),
        ({"key": "zone", "operator": "DoesNotExist"}, False),
        ({"key": "gpus", "operator": "Gt", "values": ["3"]}, True),
        ({"key": "gpus", "operator": "Lt", "values": ["4"]}, False),
        ({"key": "zone", "operator": "Gt", "values": ["3"]}, False),
        ({"key": "zone", "operator": "Is"}, False),
    ],
)
def test_node_affinity(expression: dict[str, Any], holds: bool) -> None:
    """Each operator of required node affinity; one that nobody knows never matches."""
    term = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    pod = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}}
    assert refusal(need(pod), {"zone": "a", "gpus": "4"}, []) == ("" if holds else "not in the node affinity")


def test_groups_of_each_kind() -> None:
    """A replica is one pod, or for a LeaderWorkerSet its leader and workers; what an autoscaler floors counts."""
    lws = {
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {
            "replicas": 2,
            "leaderWorkerTemplate": {"size": 3, "workerTemplate": {"spec": {"containers": [container(gpu="4")]}}},
        },
    }
    isvc = {
        "kind": "InferenceService",
        "metadata": {"name": "small", "namespace": "llm"},
        "spec": {"predictor": {"minReplicas": 2, "tolerations": [TOLERATION], "model": container(gpu="1", cpu="2")}},
    }
    scaled = deployment("scaled", gpu="1")
    del scaled["spec"]["replicas"]
    scaler = {
        "kind": "ScaledObject",
        "metadata": {"namespace": "llm"},
        "spec": {"minReplicaCount": 3, "scaleTargetRef": {"name": "scaled"}},
    }
    service = {"kind": "Service", "metadata": {"name": "s", "namespace": "llm"}}
    found = groups((doc, None) for doc in (lws, isvc, scaled, scaler, service, deployment("off", replicas=0)))
    owners = [one.owner for one in found]
    assert (
        owners == ["llm/LeaderWorkerSet/big"] * 2 + ["llm/InferenceService/small"] * 2 + ["llm/Deployment/scaled"] * 3
    )
    assert [len(one.pods) for one in found[:3]] == [3, 3, 1]
    assert found[2].pods[0] == Need({GPU: 1, "cpu": 2000, "pods": 1}, {}, (), (TOLERATION,))


def test_nodes_and_what_is_taken_of_them() -> None:
    """Lists of nodes and of pods; ended and unscheduled pods take nothing, nor do those that a deploy replaces."""
    listed = {"kind": "NodeList", "items": [{k: v for k, v in node_document("a", gpus=4).items() if k != "kind"}]}
    pods = [
        pod_document("one", "a", gpu="1", cpu="2"),
        pod_document("done", "a", phase="Succeeded", gpu="1"),
        pod_document("waiting", "", gpu="1"),
        pod_document("ours", "a", gpu="2"),
    ]
    found = inventory([listed, None, *pods], lambda pod: pod["metadata"]["name"] == "ours")
    assert (found.pods_known, found.ignored) == (True, 1)
    node = found.nodes[0]
    assert (node.free(GPU), node.free("cpu"), node.free("pods")) == (3, 62_000, 109)
    product = node.gpu(GPU)
    assert product is not None
    assert product.product == PRODUCT
    assert not inventory([listed]).pods_known


@pytest.mark.parametrize(
    ("documents", "text"),
    [
        (["x"], "document 1 is no Kubernetes object"),
        ([{"kind": "Node", "metadata": {}}], "a Node has no metadata.name"),
        ([{"kind": "Node", "metadata": {"name": "a"}}], "Node/a has no status.allocatable"),
        ([node_document("a", cpu="many")], "Node/a: status.allocatable: expected a quantity"),
        ([node_document("a"), node_document("a")], "Node/a is there twice"),
        ([node_document("a"), pod_document("p", "a", cpu="many")], "Pod x/p: expected a quantity"),
    ],
)
def test_bad_documents(documents: list[Any], text: str) -> None:
    """What cannot be read is named; nothing is planned on half of the nodes."""
    with pytest.raises(BadNode, match=text):
        inventory(documents)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.text(max_size=4) | st.sampled_from(["1Gi", "0", "0Gi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.data())
def test_any_document_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever stands in a node or a pod, it is read or refused with BadNode, never with another exception."""
    node, pod = node_document("a", gpus=1), pod_document("p", "a", gpu="1")
    holder: Any = data.draw(st.sampled_from([node, pod]))
    # Down a few keys, and something else there.
    for _ in range(data.draw(st.integers(0, 3))):
        inner = [value for value in holder.values() if isinstance(value, dict) and value]
        holder = data.draw(st.sampled_from(inner)) if inner else holder
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(JSON)
    try:
        found = inventory([node, pod])
    except BadNode:
        return
    placed(made(deployment("m", gpu="1")), found.nodes)


def test_nothing_of_something() -> None:
    """Zero is a quantity on a node, however it is written."""
    assert [amount("memory", text) for text in ("0", "0Ki", "0.0", 0, "00Gi")] == [0] * 5
    for text in ("", "Gi", "-1", "x"):
        with pytest.raises(ValueError, match="expected a quantity"):
            amount("memory", text)


def test_a_replica_stays_on_one_node_and_replicas_do_not() -> None:
    """The GPUs of a pod come from one node; two replicas may be on two nodes."""
    two = nodes(node_document("a", gpus=2), node_document("b", gpus=2))
    assert placed(made(deployment("m", gpu="4")), two)["m"].verdict is Verdict.DOES_NOT_FIT
    assert placed(made(deployment("m", replicas=2, gpu="2")), two)["m"].nodes == (("a",), ("b",))


def test_reasons_name_every_node() -> None:
    """Nodes with the same reason stand together; a shortage says whether it was ever there."""
    cluster = nodes(
        node_document("cpu-1"),
        node_document("gpu-a", gpus=2),
        node_document("gpu-b", gpus=4),
        node_document("gpu-c", gpus=4, spec={"unschedulable": True}),
        node_document("gpu-d", gpus=4, cpu="2"),
        node_document("gpu-e", gpus=8, labels={"nvidia.com/gpu.product": "NVIDIA-A10G"}),
        pod_document("other", "gpu-b", gpu="3"),
    )
    wanted = made(deployment("m", {"nodeSelector": {"nvidia.com/gpu.product": PRODUCT}}, gpu="4", cpu="8"))
    assert placed(wanted, cluster)["m"].reason == (
        f"no node has room: cpu-1, gpu-e: no label nvidia.com/gpu.product={PRODUCT}; "
        "gpu-a: has 2 of the 4 nvidia.com/gpu; gpu-b: has 1 of the 4 nvidia.com/gpu free; gpu-c: cordoned; "
        "gpu-d: has 2 of the 8 cpu"
    )
    assert placed(wanted, ())["m"].reason == "there are no nodes"


def remedies(what: Sequence[Group], on: Sequence[Node]) -> dict[str, Remedy]:
    """What is offered for the last object, by the key that it changes."""
    found = placed(what, on)[what[-1].owner.rpartition("/")[2]]
    assert found.verdict is Verdict.DOES_NOT_FIT
    return {one.key: one for one in found.remedies}


def test_a_smaller_request() -> None:
    """Where CPU alone is short, the amount that is left does, and a thousandth more does not."""
    on = nodes(node_document("a", gpus=1, cpu="7500m"))
    offered = remedies(made(deployment("m", gpu="1", cpu="8")), on)["resources.requests.cpu"]
    assert offered.value == "7500m"
    assert placed(made(deployment("m", gpu="1", cpu="7500m")), on)["m"].verdict is Verdict.FITS
    assert placed(made(deployment("m", gpu="1", cpu="7501m")), on)["m"].verdict is Verdict.DOES_NOT_FIT


def test_a_toleration() -> None:
    """Where a taint alone keeps a pod away, its key is named."""
    on = nodes(node_document("a", gpus=1, spec={"taints": [TAINT, {"key": "team", "effect": "NoSchedule"}]}))
    offered = remedies(made(deployment("m", gpu="1")), on)["tolerations"]
    assert offered.value == "team"
    tolerant = deployment("m", {"tolerations": [TOLERATION, {"key": "team", "operator": "Exists"}]}, gpu="1")
    assert placed(made(tolerant), on)["m"].verdict is Verdict.FITS


def test_other_pods_and_fewer_replicas() -> None:
    """Where other pods hold what is needed their node is named; else as many replicas as there is room for."""
    held = nodes(node_document("a", gpus=4), pod_document("other", "a", gpu="3"))
    offered = remedies(made(deployment("m", replicas=2, gpu="2")), held)
    assert offered["otherPods"].value == "a"
    assert "replicas" not in offered
    full = nodes(node_document("a", gpus=5))
    offered = remedies(made(deployment("m", replicas=3, gpu="2")), full)
    assert "otherPods" not in offered
    assert offered["replicas"].value == 2
    assert placed(made(deployment("m", replicas=2, gpu="2")), full)["m"].verdict is Verdict.FITS


def test_more_nodes() -> None:
    """The fewest nodes like one that is there; where none of them would do, what a node has to have."""
    on = nodes(node_document("a", gpus=4), node_document("c", cpu="8"))
    wanted = made(deployment("m", replicas=3, gpu="3"))
    offered = remedies(wanted, on)["nodes"]
    assert (offered.value, offered.text) == (2, "add 2 nodes like a (4 x A100-SXM4-80GB, 64 cpu, 512 GiB memory)")
    assert more_nodes(wanted, on, lambda _group, _node: "") == offered
    more = [*on, *(replace(on[0], name=name) for name in ("x", "y"))]
    assert placed(wanted, more)["m"].verdict is Verdict.FITS
    assert placed(wanted, more[:-1])["m"].verdict is Verdict.DOES_NOT_FIT
    alone = remedies(made(deployment("m", gpu="8", cpu="1", memory="1Gi")), on)["newNodes"]
    assert alone.text == "add a node with 8 nvidia.com/gpu, 1 cpu and 1 GiB memory free that its pods may run on"


def test_pods_of_one_replica_need_all_their_nodes() -> None:
    """A pipeline over two nodes has a place on two, and none on one."""
    lws = {
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {
            "leaderWorkerTemplate": {
                "size": 2,
                "workerTemplate": {"spec": {"containers": [container(gpu="4")], "tolerations": [TOLERATION]}},
            }
        },
    }
    one = nodes(node_document("a", gpus=4), node_document("b", gpus=2))
    found = placed(made(lws), one)["big"]
    assert found.nodes == ((),)
    assert found.reason.startswith("no 2 nodes have room: a: no room for all 2 pods of a replica; b: has 2 of the 4")
    assert placed(made(lws), nodes(node_document("a", gpus=4), node_document("b", gpus=5)))["big"].nodes == (
        ("a", "b"),
    )


def test_a_download_stands_beside_its_server() -> None:
    """A Job's pod needs room at the same time as the server that waits for it; a DaemonSet and a CronJob need none."""
    own = {"name": "m-download", "namespace": "llm"}
    template = {"template": {"spec": {"containers": [container(cpu="4")]}}}
    job = {"kind": "Job", "metadata": own, "spec": template}
    server = deployment("m", cpu="62")
    found = place(groups([(server, "m"), (job, "m")]), nodes(node_document("a")), lambda _group, _node: "")
    assert [(one.owner, one.model, one.verdict) for one in found] == [
        ("llm/Deployment/m", "m", Verdict.FITS),
        ("llm/Job/m-download", None, Verdict.DOES_NOT_FIT),
    ]
    daemons = {"kind": "DaemonSet", "metadata": own, "spec": template}
    later = {"kind": "CronJob", "metadata": own, "spec": {"jobTemplate": {"spec": template}}}
    assert made(daemons, later) == ()
    pod = {"kind": "Pod", "metadata": own, "spec": template["template"]["spec"]}
    assert [group.pods[0].requests["cpu"] for group in made(pod)] == [4000]


def test_manifests_that_no_api_server_would_take() -> None:
    """A quantity that is none, or a number that is none, is an error of the template with the object's name."""
    for broken in (deployment("m", gpu="many"), deployment("m") | {"spec": {"replicas": "x"}}):
        with pytest.raises(TemplateError, match="its pods cannot be counted") as caught:
            made(broken)
        assert "llm/Deployment/m" in str(caught.value)

"""`wtsctl plan`: the real command with a file of nodes, what it shows, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.command import Ran
from tests.unit.test_placement import GPU, PRODUCT, node_document, pod_document
from wtsctl.cli import app

LLAMA_70B = "meta-llama/Llama-3.1-70B-Instruct"
ROOT = Path(__file__).resolve().parents[2]
Plan = Callable[..., Ran]


def model(name: str, hub: str, **fields: Any) -> dict[str, Any]:
    """One vLLM model."""
    amounts = {"cpu": "8", "memory": "32Gi"}
    entry = {"name": name, "runtime": "vllm", "model": hub, "role": "chat", "maxModelLen": 8192}
    return entry | {"resources": {"requests": amounts, "limits": amounts}} | fields


BIG = model("big", LLAMA_70B, maxModelLen=128000, parallel={"tensor": 4})
SMALL = model("small", "meta-llama/Llama-3.2-3B-Instruct")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Runs `plan` on a catalog of these models, with these documents as nodes; no cluster is configured."""

    def run(
        *options: str,
        models: list[dict[str, Any]] | None = None,
        nodes: list[dict[str, Any]] | str | None = None,
        gpu: dict[str, str] | None = None,
    ) -> Ran:
        catalog = tmp_path / "models.yaml"
        images = {"vllm": "vllm/vllm-openai:v0.33.0", "llamacpp": "x:1"}
        defaults = {"namespace": "llm", "images": images, "gpu": {"product": PRODUCT} if gpu is None else gpu}
        document = {"apiVersion": "wtsctl/v1", "name": "x", "defaults": defaults, "models": models or [BIG, SMALL]}
        catalog.write_text(yaml.safe_dump(document))
        arguments = ["plan", "-f", str(catalog), *options]
        if nodes is not None:
            file = tmp_path / "nodes.yaml"
            file.write_text(nodes if isinstance(nodes, str) else yaml.safe_dump_all(nodes))
            arguments += ["--nodes", str(file)]
        # Nothing of this machine: no kubeconfig, no profile, no ServiceAccount.
        names = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "WTSCTL_PROFILE", "NO_COLOR", "FORCE_COLOR")
        done = CliRunner().invoke(app, arguments, env={"HOME": str(tmp_path)} | dict.fromkeys(names))
        return Ran(done.exit_code, done.stdout, done.stderr, 0.0)

    return run


def one(ran: Ran, name: str) -> dict[str, Any]:
    """What the JSON says of one model."""
    return next(entry for entry in ran.data["models"] if entry["name"] == name)


def test_without_a_cluster_the_gpus_of_the_catalog_are_looked_at(plan: Plan) -> None:
    """Memory is computed for the declared product, and the output says that nodes were not looked at."""
    done = plan()
    assert done.code == 0
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()[:3]]
    assert rows[1] == "big 4 x A100-SXM4-80GB 131.4 GiB 35.4 GiB 131,072 3.6 fits"
    assert rows[2] == "small 1 x A100-SXM4-80GB 6.0 GiB 64.2 GiB 131,072 73.3 fits"
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()[:3]) <= 80
    assert "No nodes were looked at" in done.stdout
    assert (done.stderr, "\x1b" in done.stdout) == ("", False)
    assert plan("-o", "json").data["nodes"] is None


@pytest.mark.parametrize(
    ("product", "fields", "code", "verdict", "longest"),
    [
        (PRODUCT, {}, 0, "fits", 131072),
        ("NVIDIA-L40S", {}, 5, "does-not-fit", 44048),
        ("NVIDIA-A100-SXM4-40GB", {}, 5, "does-not-fit", 0),
        ("NVIDIA-A100-SXM4-40GB", {"quantization": "fp8"}, 0, "fits", 131072),
        ("NVIDIA-A100-SXM4-40GB", {"parallel": {"tensor": 8}}, 0, "fits", 131072),
        (PRODUCT, {"parallel": {"tensor": 2}}, 5, "does-not-fit", 1248),
    ],
    ids=["4x80", "4x48", "4x40", "4x40-fp8", "8x40", "2x80"],
)
def test_verdicts_on_the_70b(
    plan: Plan, *, product: str, fields: dict[str, Any], code: int, verdict: str, longest: int
) -> None:
    """Each comes out with its exit code, and -v shows how it was computed."""
    done = plan("-v", "-o", "json", models=[BIG | fields], gpu={"product": product})
    assert done.code == code
    found = one(done, "big")
    assert (found["verdict"], found["memory"]["longestContext"]) == (verdict, longest)
    tensor = fields.get("parallel", {"tensor": 4})["tensor"]
    assert f"big on {tensor} x {product}:" in done.stderr
    for part in ("70,553,706,496", "overhead    2.3 GiB + 0.05 x", "KV room", "320 KiB", "128,000 tokens x"):
        assert part in done.stderr
    if code:
        assert done.errors[0]["code"] == "not-ready"
        assert found["remedies"]


def test_nodes_of_a_file(plan: Plan) -> None:
    """Pods are put on nodes beside what others request; what has no place says why and what would do."""
    on = [
        node_document("gpu-a", gpus=4),
        node_document("gpu-b", gpus=4),
        node_document("cpu-a", cpu="8"),
        pod_document("other", "gpu-b", gpu="4"),
    ]
    done = plan("-o", "json", nodes=on, models=[SMALL, BIG])
    assert done.code == 5
    assert one(done, "small")["placement"]["nodes"] == [["gpu-a"]]
    big = one(done, "big")
    assert big["memory"]["verdict"] == "fits"
    assert big["placement"] == {"verdict": "does-not-fit", "replicas": 1, "placed": 0, "nodes": [[]]}
    (reason,) = big["reasons"]
    assert reason == (
        f"nodes: no node has room: cpu-a: no label nvidia.com/gpu.product={PRODUCT}; "
        "gpu-a: has 3 of the 4 nvidia.com/gpu left beside the other models; gpu-b: has 0 of the 4 nvidia.com/gpu free"
    )
    keys = [remedy["key"] for remedy in big["remedies"]]
    assert keys == ["otherPods", "nodes"]
    gpus = {node["name"]: node["resources"][0] for node in done.data["nodes"]}
    assert gpus["gpu-b"] == {"resource": GPU, "allocatable": 4, "used": 4, "planned": 0}
    assert gpus["gpu-a"]["planned"] == 1
    assert done.data["totals"][0] == {"resource": GPU, "wanted": 5, "allocatable": 8, "used": 4}
    # The first in the file comes first.
    assert one(plan("-o", "json", nodes=on, models=[BIG, SMALL]), "big")["verdict"] == "fits"
    text = plan(nodes=on, models=[SMALL, BIG]).stdout
    assert re.search(r"^gpu-a +4 x A100-SXM4-80GB, 64 cpu, 512 GiB memory +- +small *$", text, re.MULTILINE)
    assert "would do: free what other pods request on gpu-b" in text
    assert "All pods would have a place: add 1 node like gpu-a" in text
    assert "All nodes together: 5 nvidia.com/gpu wanted, 4 free." in text


def test_named_models_alone(plan: Plan) -> None:
    """With MODEL only those pods are planned; a name that matches nothing is exit 9."""
    on = [node_document("gpu-a", gpus=4)]
    assert plan(nodes=on).code == 5
    done = plan("-o", "json", "big", nodes=on)
    assert (done.code, [entry["name"] for entry in done.data["models"]]) == (0, ["big"])
    assert plan("nobody", nodes=on).code == 9


def test_pods_that_a_deploy_replaces_take_nothing(plan: Plan) -> None:
    """The model's own running pod does not keep it from its node; another installation's does."""
    running = pod_document("big-1", "gpu-a", gpu="4")
    labels = {"managed-by": "wtsctl", "part-of": "x", "instance": "big"}
    running["metadata"] |= {"namespace": "llm", "labels": {f"app.kubernetes.io/{k}": v for k, v in labels.items()}}
    assert plan("big", nodes=[node_document("gpu-a", gpus=4), running]).code == 0
    running["metadata"]["labels"]["app.kubernetes.io/part-of"] = "y"
    assert plan("big", nodes=[node_document("gpu-a", gpus=4), running]).code == 5


def test_fewer_gpus_in_a_node_than_a_model_asks_for(plan: Plan) -> None:
    """Fewer bits on fewer GPUs, or stages over nodes, are offered where they fit and have a place."""
    on = [node_document("gpu-a", gpus=2), node_document("gpu-b", gpus=2)]
    done = plan("-o", "json", models=[BIG], nodes=on)
    offered = {remedy["key"]: remedy for remedy in one(done, "big")["remedies"]}
    assert offered["parallel.tensor, parallel.pipeline"]["value"] == "2, 2"
    smaller = offered["quantization, parallel.tensor"]
    assert smaller["value"] == "fp8, 2"
    changed = BIG | {"quantization": "fp8", "parallel": {"tensor": 2}}
    assert plan(models=[changed], nodes=on).code == 0
    alone = plan("-o", "json", models=[BIG], nodes=on[:1])
    assert "parallel.tensor, parallel.pipeline" not in [remedy["key"] for remedy in one(alone, "big")["remedies"]]


def labelled(name: str, gpus: int, product: str | None) -> dict[str, Any]:
    """A node with GPUs of a product; None: without the label."""
    found = node_document(name, gpus=gpus)
    found["metadata"]["labels"] = {"nvidia.com/gpu.product": product} if product else {}
    return found


def test_a_model_that_does_not_fit_its_gpus_takes_none(plan: Plan) -> None:
    """The 70B does not start on 4 x 40 GB, so that the GPUs are there for those that do."""
    card = "NVIDIA-A100-SXM4-40GB"
    done = plan("-o", "json", nodes=[labelled("gpu-0", 4, card)], models=[BIG, SMALL], gpu={"product": card})
    big = one(done, "big")
    assert (big["memory"]["verdict"], big["placement"]["nodes"]) == ("does-not-fit", [[]])
    assert (one(done, "small")["verdict"], one(done, "small")["placement"]["nodes"]) == ("fits", [["gpu-0"]])
    assert done.data["totals"][0]["wanted"] == 1


def test_changes_are_held_against_the_nodes(plan: Plan) -> None:
    """A change that needs more GPUs than the nodes have stands last, and says that it holds in memory only."""
    on = [labelled(f"gpu-{at}", 1, "NVIDIA-A10G") for at in range(2)]
    long = SMALL | {"maxModelLen": 128000}
    done = plan("-o", "json", nodes=on, models=[BIG, long], gpu={"product": "NVIDIA-A10G"})
    stages = next(each for each in one(done, "big")["remedies"] if each["key"] == "parallel.pipeline")
    assert stages["text"].endswith("(in memory only: the nodes have no room for 3 pods of 4 GPUs)")
    texts = {each["key"]: each["text"] for each in one(done, "small")["remedies"]}
    assert next(iter(texts)) == "maxModelLen"
    assert {key for key, text in texts.items() if "in memory only" in text} == {"gpu.product"}
    # The first one, done: it fits, on the nodes as well.
    value = int(next(each["value"] for each in one(done, "small")["remedies"] if each["key"] == "maxModelLen"))
    again = plan("-o", "json", nodes=on, models=[SMALL | {"maxModelLen": value}], gpu={"product": "NVIDIA-A10G"})
    assert again.code == 0


@pytest.mark.parametrize("own", [False, True], ids=["defaults", "model"])
def test_nodes_of_another_product(plan: Plan, *, own: bool) -> None:
    """The first change is to name the product that the nodes have, with what would fit then."""
    on = [labelled("gpu-0", 1, "NVIDIA-A10G")]
    asked = {"gpu": {"product": PRODUCT}} if own else {}
    done = plan("-o", "json", nodes=on, models=[SMALL | asked, BIG | asked])
    first = one(done, "small")["remedies"][0]
    key = "gpu.product" if own else "defaults.gpu.product"
    where = f"the model's {key}" if own else key
    assert first == {"key": key, "value": "NVIDIA-A10G", "text": f"the nodes have NVIDIA-A10G: set {where} to it"}
    hint = one(done, "big")["hint"]
    assert hint.startswith(f"the nodes have NVIDIA-A10G: set {where} to it; ")
    assert [each["key"] for each in one(done, "big")["remedies"]] == ["newNodes"]
    changed = {"gpu": {"product": "NVIDIA-A10G"}}
    assert plan(nodes=on, models=[SMALL | changed]).code == 0


def test_nodes_without_a_product(plan: Plan) -> None:
    """Nodes whose GPUs nobody labels take the model once no product is asked for, and that is said."""
    on = [labelled("gpu-0", 1, None)]
    first = one(plan("-o", "json", nodes=on, models=[SMALL]), "small")["remedies"][0]
    assert first["key"] == "defaults.gpu.product"
    assert "gpu-0 has GPUs and no label nvidia.com/gpu.product" in first["text"]
    assert "leave defaults.gpu.product out" in first["text"]
    assert one(plan("-o", "json", nodes=on, models=[SMALL], gpu={}), "small")["placement"]["verdict"] == "fits"


def test_further_nodes_are_named_once(plan: Plan) -> None:
    """Four models without a place, which one node would give to all: said in one line."""
    smalls = [SMALL | {"name": f"small-{at}"} for at in range(4)]
    done = plan(nodes=[node_document("gpu-0", gpus=4)], models=[BIG, *smalls])
    assert done.code == 5
    assert done.stdout.count("add 1 node like gpu-0") == 1
    assert "All pods would have a place: add 1 node like gpu-0" in done.stdout
    noted = plan("-v", nodes=[node_document("gpu-0", gpus=4)], models=[BIG]).stderr
    assert "1 node from " in noted


def test_a_narrow_screen(tmp_path: Path) -> None:
    """On 80 columns a message goes on further in, and `N x PRODUCT` stays in one line."""
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(yaml.safe_dump(labelled("gpu-0", 1, "NVIDIA-A10G")))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    command = [sys.executable, "-m", "wtsctl", "plan", "-f", str(ROOT / "models.yaml"), "--nodes", str(nodes)]
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "WTSCTL_PROFILE"}}
    plain = {"TERM": "xterm", "NO_COLOR": "1", "HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=kept | plain) as running:
        os.close(theirs)
        screen = b""
        # A terminal whose other side is closed gives EIO.
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 65536):
                screen += chunk
    os.close(ours)
    assert running.returncode == 5
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", screen.decode()).splitlines()]
    assert max(map(len, lines)) <= 80
    assert sum("4 x A100-SXM4-80GB  " in line for line in lines) == 1
    at = next(at for at, line in enumerate(lines) if line.startswith("    nodes: no node has room: gpu-0"))
    assert lines[at + 1].startswith("        nvidia.com/gpu.product=")


def test_gpus_of_several_kinds(plan: Plan) -> None:
    """A model without a product goes where it starts, and is warned of where it would not."""
    small = node_document("gpu-t4", gpus=8, labels={"nvidia.com/gpu.product": "Tesla-T4"})
    large = node_document("gpu-a100", gpus=4)
    done = plan("-o", "json", models=[BIG], nodes=[small, large], gpu={})
    found = one(done, "big")
    assert done.code == 0
    assert found["placement"]["nodes"] == [["gpu-a100"]]
    assert found["notes"] == ["it does not start on gpu-t4, and nothing keeps it from there: set gpu.product"]
    # On GPUs that are too small alone it goes nowhere: it would not start, and takes nothing from others.
    alone = one(plan("-o", "json", models=[BIG], nodes=[small], gpu={}), "big")
    assert (alone["memory"]["verdict"], alone["placement"]["verdict"]) == ("does-not-fit", "does-not-fit")


def test_models_without_gpus(plan: Plan) -> None:
    """A model that runs on CPUs has no arithmetic: what it requests is put on a node, and the output says so."""
    cpu = model("cpu", "/weights/model.gguf", runtime="llamacpp")
    done = plan("-v", "-o", "json", models=[cpu], nodes=[node_document("a")])
    assert (done.code, one(done, "cpu")["memory"]) == (0, None)
    assert one(done, "cpu")["placement"]["nodes"] == [["a"]]
    assert "cpu: runs without GPUs; nothing is computed" in done.stderr
    assert plan(models=[cpu], nodes=[node_document("a", cpu="4")]).code == 5


def test_unknown_models(plan: Plan, tmp_path: Path) -> None:
    """A model that is not in the table is unknown, which is no failure and is said; its config.json makes it known."""
    stranger = model("stranger", "acme/new")
    done = plan("-o", "json", models=[stranger], nodes=[node_document("a", gpus=1)])
    found = one(done, "stranger")
    assert (done.code, found["verdict"], found["memory"]["verdict"]) == (0, "unknown", "unknown")
    assert "config" in found["hint"]
    assert "stranger: not known whether it fits" in plan(models=[stranger]).stdout
    keys = {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    (tmp_path / "config.json").write_text(json.dumps(keys))
    known = one(plan("-o", "json", models=[stranger | {"config": "config.json"}]), "stranger")
    assert (known["verdict"], known["memory"]["serving"]["parameters"]) == ("fits", 8_030_261_248)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, r"models.yaml:\d+:\d+: config: .*config.json cannot be read: No such file"),
        ("{", r"config.json:1:2: no JSON: Expecting property name"),
        ("{}", r"config.json: architectures: expected a list with one name, got nothing"),
        (b"\xff", r"config.json: not UTF-8"),
    ],
)
def test_bad_config_files(plan: Plan, tmp_path: Path, content: str | bytes | None, text: str) -> None:
    """A config.json that is missing or wrong is exit 3, with its file and what is wrong."""
    if content is not None:
        (tmp_path / "config.json").write_bytes(content.encode() if isinstance(content, str) else content)
    done = plan(models=[SMALL | {"config": "config.json"}])
    assert done.code == 3
    assert re.search(text, done.stderr)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ("a: [", r"nodes.yaml:2:1: --nodes: neither YAML nor JSON"),
        ("{kind: Pod}", "there is no Node in it"),
        ("- 1", "document 1 is no Kubernetes object"),
        ("", "there is no Node in it"),
    ],
)
def test_bad_node_files(plan: Plan, nodes: str, text: str) -> None:
    """A file without nodes, or that is no YAML, is exit 2 and says where."""
    done = plan(nodes=nodes)
    assert done.code == 2
    assert re.search(text, done.stderr), done.stderr


def test_contradicting_options(plan: Plan, tmp_path: Path) -> None:
    """Nodes come from a file or from a cluster; a missing file is exit 2, and a cluster that is not there 4."""
    kubeconfig = tmp_path / "kubeconfig"
    assert plan("--kubeconfig", str(kubeconfig), nodes=[node_document("a")]).code == 2
    assert plan("--nodes", str(tmp_path / "none.yaml")).code == 2
    assert plan("--kubeconfig", str(kubeconfig)).code == 4
    assert plan("--context", "x").code == 4


def keys_of(value: Any) -> set[str]:
    """All keys in a JSON document, at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()


def test_every_field_is_described_and_no_other(plan: Plan) -> None:
    """The first column of the tables of docs/reference/plan-fields.md is exactly what the JSON holds."""
    page = (ROOT / "docs" / "reference" / "plan-fields.md").read_text()
    tables = re.findall(r"^\| field \|.*?(?=^$|\Z)", page, re.MULTILINE | re.DOTALL)
    described = {name for table in tables for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    stack = [
        *[node_document("a", gpus=2), node_document("b", gpus=1), node_document("c", cpu="1")],
        pod_document("other", "a", gpu="1"),
    ]
    written = keys_of(plan("-o", "json", nodes=stack).data)
    # What serves no model is Llama Stack, whose manifests these catalogs do not ask for.
    assert described - {"owner"} == written

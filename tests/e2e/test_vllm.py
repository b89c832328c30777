"""The objects of a vLLM model on a real node: its download, its pod under `restricted`, its key, its end.

Two programs stand in for those of vLLM's image, which is larger than this machine and needs GPUs: `hf`, which writes
down what it is asked for, and `vllm`, which checks its surroundings and starts llama.cpp's server with the same names
and port. They lie on the cache volume. Everything around them is what any vLLM model gets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.command import Wtsctl
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import JOB, NAMESPACE, POD, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.e2e

KEY = "sk-vllm-do-not-show"
VOLUME = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
  images: {{vllm: "wtsctl-sandbox/llamacpp:smollm2-135m"}}
cache: {{claim: weights, size: 1Gi}}
platform: {{podSecurity: restricted}}
models:
- name: served
  aliases: [served-alias]
  runtime: vllm
  model: org/model-8B
  role: chat
  gpus: 0
  maxModelLen: 512
  chatTemplate: {{text: "{{{{ messages[-1].content }}}}"}}
  lora: {{adapters: [{{name: adapter, source: org/adapter}}]}}
  apiKey: {{name: served-key, key: token, fromEnv: WTSCTL_TEST_KEY}}
  download: {{resources: &small {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{cpu: 1, memory: 256Mi}}}}}}
  env: {{PATH: "/cache/huggingface/bin:/usr/local/bin:/usr/bin:/bin"}}
  resources: {{requests: {{cpu: 50m, memory: 256Mi}}, limits: {{cpu: 1, memory: 1Gi}}}}
  smoke:
  - {{name: any, prompt: Say something., maxTokens: 8, assert: [{{minTokens: 1}}]}}
  patches:
  - {{kind: Job, merge: {{spec: {{backoffLimit: 0}}}}}}
"""
HF = """\
#!/bin/sh
case "$2" in *missing*) echo "401 Client Error: access to $2 is restricted" >&2; exit 1;; esac
[ "$1 $3 $4" = "download --exclude original/*" ] && echo "$2" >> "$HF_HOME/downloaded"
"""
VLLM = """\
#!/usr/bin/python3
import os, sys
given, env = sys.argv[1:], os.environ
names = given[given.index("--served-model-name") + 1 : given.index("--host")]
port = given[given.index("--port") + 1]
assert given[0] == "serve" and env["HF_HUB_OFFLINE"] == "1", given
assert open(given[given.index("--chat-template") + 1]).read() == "{{ messages[-1].content }}"
for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME", "VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TRITON_CACHE_DIR"):
    os.makedirs(env[name], exist_ok=True)
    open(env[name] + "/written", "w").close()
env["LLAMA_API_KEY"] = env["VLLM_API_KEY"]
server = ["/usr/bin/python3", "/opt/llamacpp/server.py", "--alias", ",".join(names)]
os.execv(server[0], [*server, "--host", "0.0.0.0", "--port", port, "--ctx-size", "512"])
"""


@pytest.fixture(scope="module")
def cache(client: Client, space: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this machine as the claim's volume, with the two programs on it."""
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o777)
    (folder / "bin").mkdir()
    for name, text in (("hf", HF), ("vllm", VLLM)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": space},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": space, "name": "weights"},
        },
    }
    objects.apply(client, VOLUME, volume)
    yield folder
    if any(one["metadata"]["name"] == space for one in objects.list_all(client, NAMESPACE)[0]):
        objects.delete(client, NAMESPACE, "", space)
    objects.delete(client, VOLUME, "", space)


@pytest.fixture(scope="module")
def served(node: Cluster, cache: Path, space: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wtsctl]:
    """The model, deployed: everything applied at once, the pod waiting for the Job."""
    assert cache.exists()
    catalog = tmp_path_factory.mktemp("vllm") / "models.yaml"
    catalog.write_text(CATALOG.format(space=space))
    wtsctl = Wtsctl(catalog, node.kubeconfig)
    os.environ["WTSCTL_TEST_KEY"] = KEY
    try:
        first = wtsctl("deploy", "--timeout", "5m", timeout=400)
        assert first.code == 0, first.stdout + first.stderr
        assert "warning" not in first.stderr.lower(), first.stderr
        yield wtsctl
    finally:
        del os.environ["WTSCTL_TEST_KEY"]


def test_the_job_downloaded_and_the_server_answers(served: Wtsctl, client: Client, space: str, cache: Path) -> None:
    """The model's repository and the adapter's were asked for, and the server answers to its names, with the key."""
    assert (cache / "downloaded").read_text().split() == ["org/model-8B", "org/adapter"]
    (job,) = objects.list_all(client, JOB, space)[0]
    assert job["status"]["succeeded"] == 1
    status = served.json("status")
    assert status.code == 0, status.why
    assert sorted(status.data["models"][0]["serves"]) == ["served", "served-alias"]
    smoke = served.json("smoke-test", "--repeat", "2")
    assert smoke.code == 0, smoke.why
    assert KEY not in status.stdout + smoke.stdout
    again = served.json("deploy")
    assert (again.code, set(again.outcomes.values())) == (0, {"unchanged"})


def test_a_download_that_fails_is_the_models_failure(served: Wtsctl, client: Client, space: str) -> None:
    """Weights that may not be had fail the model with the hub's own words, long before the timeout."""
    good = served.catalog.read_text()
    served.catalog.write_text(good.replace("org/model-8B", "org/missing-8B"))
    try:
        done = served.json("deploy", "--timeout", "5m", timeout=400)
        assert done.code == 5
        (model,) = done.data["models"]
        assert (model["verdict"], model["reason"]) == ("failed", "DownloadFailed"), model
        assert "401 Client Error: access to org/missing-8B is restricted" in done.stdout
        assert done.seconds < 120
    finally:
        served.catalog.write_text(good)
    # Of the good weights the mark is there: nothing is downloaded or waited for again.
    assert served("deploy", "--timeout", "5m", timeout=400).code == 0
    assert len(objects.list_all(client, JOB, space)[0]) == 2


def test_nothing_stays(served: Wtsctl, client: Client, space: str) -> None:
    """Delete takes the Jobs, their pods and the budget along, so that the namespace can go too."""
    done = served.json("delete", "--yes", timeout=240)
    assert done.code == 0, done.why
    kinds = {identity.split("/")[-2] for identity in done.outcomes}
    assert {"Job", "PodDisruptionBudget", "Deployment", "Service", "ConfigMap", "Namespace"} <= kinds
    assert objects.list_all(client, POD, space)[0] == []
    assert not [one for one in objects.list_all(client, NAMESPACE)[0] if one["metadata"]["name"] == space]

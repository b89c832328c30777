"""`status` on a real API server: what it says, and how many requests it takes to say it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import namespace

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster


def test_nothing_deployed(catalog: MakeCatalog, space: str) -> None:
    """Models that are not there are absent, which is exit 5, and the hint says what to do."""
    done = catalog("first", "second").json("status")
    assert done.code == 5
    assert (done.data["ready"], done.data["total"]) == (0, 2)
    assert {one["phase"] for one in done.data["models"]} == {"absent"}
    assert space in done.data["models"][0]["message"]
    assert "wtsctl deploy" in done.data["models"][0]["hint"]
    assert done.errors[0]["code"] == "not-ready"


def test_scaled_to_zero_on_purpose(catalog: MakeCatalog) -> None:
    """A model that the catalog wants without pods is as it should be."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    done = wtsctl.json("status")
    assert done.code == 0
    assert done.data["models"][0]["pods"] == {"ready": 0, "wanted": 0, "restarts": 0, "items": []}


def test_only_the_named_models(catalog: MakeCatalog) -> None:
    """A name shows that model alone; one that matches nothing is exit 9."""
    wtsctl = catalog("first", "second")
    assert [one["name"] for one in wtsctl.json("status", "sec*").data["models"]] == ["second"]
    assert wtsctl.json("status", "third").code == 9


def test_the_table_has_the_findings_below_it(catalog: MakeCatalog) -> None:
    """A row a model, then what is wrong with a hint; on stderr one line for all; no control codes in a pipe."""
    done = catalog("first", "second")("status")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["MODEL", "RUNTIME", "PHASE", "PODS", "RESTARTS", "ENDPOINT", "SERVES", "AGE"]
    assert lines[1].split()[:3] == ["first", "llamacpp", "absent"]
    assert lines[3] == ""
    assert lines[4].startswith("first: NotFound: ")
    assert lines[5].startswith("    hint: ")
    assert done.stderr == "error: 2 of 2 not ready: first (absent), second (absent)\n"
    assert "\x1b" not in done.stdout


def test_llama_stack_of_its_operator(catalog: MakeCatalog, client: Client, space: str) -> None:
    """What the operator makes is looked at under its own labels; until it has, the message names who should."""
    stack = (
        f"llamaStack:\n  namespace: {space}\n  kind: LlamaStackDistribution\n  image: x:1\n  models: [only]\n"
        "  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 1, memory: 64Mi}}\n"
    )
    namespace(client, space)
    wtsctl = catalog("only", more=stack)
    _, server = wtsctl.json("status").data["models"]
    assert (server["phase"], server["name"]) == ("absent", "llama-stack")
    assert "Llama Stack's operator makes it" in server["message"]
    labels = {"app": "llama-stack", "app.kubernetes.io/instance": "llamastack-server"}
    containers = [{"name": "server", "image": "x:1"}]
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "llamastack-server", "namespace": space},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }
    client.exchange("POST", f"/apis/apps/v1/namespaces/{space}/deployments", body=document)
    deadline = time.monotonic() + 30
    while not (server := wtsctl.json("status").data["models"][1])["pods"]["items"]:
        assert time.monotonic() < deadline, server
    assert server["phase"] == "scheduling"
    assert server["pods"]["items"][0]["name"].startswith("llamastack-server-")


def test_requests_do_not_grow_with_models(catalog: MakeCatalog, forwarder: Forwarder) -> None:
    """Two models and twenty cost the same few lists, and nothing is asked for twice."""
    sizes = {}
    for number in (2, 20):
        wtsctl = catalog(*(f"model-{index}" for index in range(number)))
        assert wtsctl("deploy").code == 0
        forwarder.asked.clear()
        assert replace(wtsctl, kubeconfig=forwarder.kubeconfig).json("status").code == 0
        sizes[number] = sorted(forwarder.asked)
    assert sizes[2] == sizes[20]
    assert len(set(sizes[2])) == len(sizes[2]) == 6


def test_a_timeout_that_is_none(catalog: MakeCatalog) -> None:
    """A probe timeout that is none is a usage error, before any cluster is asked."""
    done = catalog()("status", "--probe-timeout", "soon", "-o", "json")
    assert (done.code, done.errors[0]["code"]) == (2, "usage")
    assert "--probe-timeout" in done.errors[0]["message"]

"""`patches` and `extra`: what they may do, and what is refused with its line in models.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.catalog.load import load
from wtsctl.commands.inputs import read_templates
from wtsctl.errors import CatalogError
from wtsctl.render import merge
from wtsctl.render.manifest import Manifest, render

HEAD = """apiVersion: wtsctl/v1
name: patched
defaults:
  namespace: llm
  images: {llamacpp: "server:1"}
models:
- name: tiny
  runtime: llamacpp
  model: /weights/tiny.gguf
  role: chat
  maxModelLen: 2048
  resources: {requests: {cpu: 100m, memory: 384Mi}, limits: {cpu: 1, memory: 1Gi}}
"""
PATCHES = f"{HEAD}  patches:\n"


def rendered(text: str, selected: set[str] | None = None, **options: Any) -> dict[str, Manifest]:
    """The manifests of a catalog by identity."""
    loaded = load(text, filename="models.yaml")
    made = render(loaded.catalog, read_templates(None), selected, where=loaded.where, **options)
    return {one.identity: one for one in made}


def refused(text: str) -> list[str]:
    """What is wrong with a catalog, one line a problem."""
    with pytest.raises(CatalogError) as caught:
        rendered(text)
    return [f"{one.where}: {one.message}" for one in caught.value.problems]


def test_patches_change_what_they_name_and_nothing_else() -> None:
    """A patch without a name meets every object of its kind, later ones see what earlier ones did."""
    plain, made = (
        rendered(HEAD),
        rendered(
            f"{PATCHES}"
            "  - {kind: Deployment, merge: {spec: {minReadySeconds: 5, template: {spec: {hostNetwork: true}}}}}\n"
            "  - {kind: Deployment, name: tiny, json: [{op: copy, from: /spec/minReadySeconds, path: /spec/paused}]}\n"
        ),
    )
    doc = made["llm/Deployment/tiny"].doc
    assert (doc["spec"]["minReadySeconds"], doc["spec"]["paused"]) == (5, 5)
    assert doc["spec"]["template"]["spec"]["hostNetwork"] is True
    assert {name: one for name, one in made.items() if one.kind != "Deployment"} == {
        name: one for name, one in plain.items() if one.kind != "Deployment"
    }


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        (
            "{kind: StatefulSet, merge: {}}",
            "models.yaml:14:5: models[0].patches[0]: there is no StatefulSet to patch",
        ),
        (
            "{kind: Service, name: other, merge: {}}",
            "models.yaml:14:5: models[0].patches[0]: there is no Service other to patch",
        ),
        (
            "{kind: Namespace, merge: {}}",
            "models.yaml:14:5: models[0].patches[0]: there is no Namespace to patch",
        ),
        ("{kind: Deployment, merge: {metadata: {name: x}}}", "metadata.name would be 'x' instead of 'tiny'"),
        ("{kind: Deployment, merge: {metadata: {namespace: null}}}", "metadata.namespace would be None"),
        ("{kind: Deployment, merge: {kind: DaemonSet}}", "kind would be 'DaemonSet'"),
        ("{kind: Deployment, merge: {apiVersion: apps/v2}}", "apiVersion would be 'apps/v2'"),
        (
            "{kind: Deployment, merge: {metadata: {labels: {app.kubernetes.io/part-of: x}}}}",
            "the label app.kubernetes.io/part-of would be 'x'",
        ),
        ("{kind: Deployment, merge: {$patch: delete}}", "the result is no Kubernetes object"),
        ("{kind: Deployment, merge: {metadata: []}}", "the result is no Kubernetes object"),
        ("{kind: Deployment, merge: {spec: {replicas: .inf}}}", "the result is no JSON"),
        (
            "{kind: Deployment, merge: {spec: {template: {spec: {containers: [{image: x}]}}}}}",
            "spec.template.spec.containers: every item needs `name`",
        ),
        ("{kind: Deployment, json: [{op: remove, path: /spec/none}]}", "json[0] (remove /spec/none): "),
        ("{kind: Deployment, json: [{op: replace, path: /spec/none/deep, value: 1}]}", "json[0] (replace "),
        ("{kind: Deployment, json: [{op: add, path: /spec/replicas/deep, value: 1}]}", "json[0] (add "),
        ("{kind: Deployment, json: [{op: add, path: /spec/template/spec/containers/7, value: {}}]}", "json[0] (add "),
        ("{kind: Deployment, json: [{op: add, path: /spec/template/spec/containers/x, value: {}}]}", "json[0] (add "),
        ("{kind: Deployment, json: [{op: test, path: /kind, value: Pod}]}", "json[0] (test /kind): "),
        ("{kind: Deployment, json: [{op: move, from: /spec/a, path: /spec/b}]}", "json[0] (move /spec/b): "),
        ("{kind: Deployment, json: [{op: replace, path: '', value: 1}]}", "expected a path such as /spec/"),
        ("{kind: Deployment, json: [{op: remove, path: /metadata/labels}]}", "would be None instead of 'tiny'"),
        ("{kind: Deployment, json: [{op: add, path: /spec/x}]}", "op add needs `value`"),
        ("{kind: Deployment, json: [{op: copy, path: /spec/x}]}", "op copy needs `from`"),
        ("{kind: Deployment, json: [{op: remove, path: /spec/x, value: 1}]}", "op remove does not read `value`"),
        ("{kind: Deployment}", "expected exactly one of merge and json"),
    ],
)
def test_patches_that_cannot_be_meant_are_refused(patch: str, problem: str) -> None:
    """A patch that meets nothing, fails, or makes another object of it is an error with its line in models.yaml."""
    (found,) = refused(f"{PATCHES}  - {patch}\n")
    assert found.startswith("models.yaml:14:")
    assert problem in found


def test_every_bad_patch_is_said_at_once() -> None:
    """Two bad patches are two problems, in the order of the file."""
    found = refused(f"{PATCHES}  - {{kind: Pod, merge: {{}}}}\n  - {{kind: Job, merge: {{}}}}\n")
    assert [line.partition(": ")[0] for line in found] == ["models.yaml:14:5", "models.yaml:15:5"]


def test_a_patch_of_what_auto_left_out_changes_nothing() -> None:
    """Where the cluster does not serve a kind that is `auto`, its patch is no error; where it does, it is applied."""
    text = f"{PATCHES}  - {{kind: PodMonitor, merge: {{metadata: {{annotations: {{a: b}}}}}}}}\n"
    assert not [one for one in rendered(text).values() if one.kind == "PodMonitor"]
    served = rendered(text, knows=lambda _version, kind: kind == "PodMonitor")
    (monitor,) = (one for one in served.values() if one.kind == "PodMonitor")
    assert monitor.doc["metadata"]["annotations"] == {"a": "b"}


def test_custom_kinds_get_json_merge_patches() -> None:
    """RFC 7396: lists are replaced as a whole, null takes away, and a directive of strategic merges is refused."""
    before = {"spec": {"list": [{"name": "a"}, {"name": "b"}], "gone": 1, "kept": {"x": 1}}}
    after = merge.json_merge(
        before, {"spec": {"list": [{"name": "c"}], "gone": None, "kept": {"y": 2}, "new": {"n": None}}}
    )
    assert after == {"spec": {"list": [{"name": "c"}], "kept": {"x": 1, "y": 2}, "new": {}}}
    assert before["spec"]["gone"] == 1
    kserve = PATCHES.replace("llamacpp\n", "kserve\n").replace("/weights/tiny.gguf", "org/tiny")
    (found,) = refused(f"{kserve}  - {{kind: InferenceService, merge: {{spec: {{predictor: {{$patch: delete}}}}}}}}\n")
    assert "spec.predictor.$patch has no meaning here: InferenceService is a custom kind" in found


def extra(text: str) -> str:
    """A catalog with one object under `extra`."""
    return f"{HEAD}extra:\n- {text}\n"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{kind: ConfigMap, metadata: {name: a}}", "a valid apiVersion, got nothing"),
        ("{apiVersion: v1, kind: 7, metadata: {name: a}}", "a valid kind, got 7"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {generateName: a}}", "a valid metadata.name, got nothing"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a/b}}", "a valid metadata.name, got 'a/b'"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: A}}", "metadata.namespace, got 'A'"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: [x]}}", "a mapping as metadata.labels"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {token: t0ps3cret}}", "name where they come"),
        ("{apiVersion: v1, kind: List, metadata: {name: a}, items: []}", "a list is no object of its own"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: .nan}}", "that JSON cannot carry"),
        ("{apiVersion: v1, kind: Service, metadata: {name: tiny}}", "llm/Service/tiny is there already"),
    ],
)
def test_extra_objects_that_cannot_be_deployed_are_refused(item: str, problem: str) -> None:
    """What cannot be told apart, is rendered already or holds a secret is an error with its line; no value is shown."""
    (found,) = refused(extra(item))
    assert found.startswith(("models.yaml:14:", "models.yaml:13:"))
    assert problem in found
    assert "t0ps3cret" not in found


def test_extra_objects_belong_to_the_whole_catalog() -> None:
    """A selection of models leaves them out; all of models.yaml has them, once, and two of a name are refused."""
    text = extra("{apiVersion: v1, kind: ConfigMap, metadata: {name: notes}}")
    assert "llm/ConfigMap/notes" in rendered(text)
    assert "llm/ConfigMap/notes" not in rendered(text, {"tiny"})
    (found,) = refused(f"{text}- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: notes}}}}\n")
    assert "llm/ConfigMap/notes is there already" in found

"""Each check before a deploy, by what it is given: a case that is found, and a near miss that is not."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wtsctl.cluster.surroundings import skew
from wtsctl.plan.preflight import server
from wtsctl.plan.preflight.check import BY_NAME, CHECKS, check, ignoring, wanted
from wtsctl.plan.preflight.facts import Facts, NotRead, Step
from wtsctl.plan.preflight.record import Outcome, Record
from wtsctl.plan.preflight.rights import Right, granted, making, permissions
from wtsctl.pods.security import forbidden
from wtsctl.report.preflight import PreflightReport, problems, warnings

VERSION = {"gitVersion": "v1.36.3"}
POD: dict[str, Any] = {"containers": [{"name": "server", "image": "x:1"}]}
GPU = {"resources": {"limits": {"nvidia.com/gpu": 2}}}
SMALL = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}}


def pod(**container: Any) -> dict[str, Any]:
    """A pod of one container."""
    return {"containers": [{"name": "server", "image": "x:1", **container}]}


def deployment(spec: dict[str, Any], *, replicas: int = 1) -> dict[str, Any]:
    """A Deployment of these pods."""
    body = {"replicas": replicas, "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "one", "namespace": "llm"},
        "spec": body,
    }


def claim(**spec: Any) -> dict[str, Any]:
    """A volume claim of 1Gi."""
    spec = {"resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": "weights", "namespace": "llm"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def named(name: str, **more: Any) -> dict[str, Any]:
    """An object with a name, and what else it has."""
    return {"apiVersion": "v1", "metadata": {"name": name, "namespace": "llm"}, **more}


def step(doc: dict[str, Any], *, live: dict[str, Any] | None = None, changes: bool = True) -> Step:
    """An object that is applied."""
    return Step(doc, "one" if doc["kind"] == "Deployment" else None, live, changes, f"{doc['kind'].lower()}s")


def node(gpus: int) -> dict[str, Any]:
    """A node with GPUs."""
    status = {"allocatable": {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": str(gpus)}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gpu-1"}, "status": status}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A ResourceQuota as the API server shows it."""
    return named("most", kind="ResourceQuota", spec={"hard": hard, **spec}, status={"hard": hard, "used": used or {}})


def limits(kind: str, **rule: Any) -> dict[str, Any]:
    """A LimitRange of one rule."""
    return named("range", kind="LimitRange", spec={"limits": [{"type": kind, **rule}]})


def space(**labels: str) -> dict[str, Any]:
    """The namespace, as it is."""
    return {
        "metadata": {"name": "llm", "uid": "1", "labels": {key.replace("_", "-"): one for key, one in labels.items()}}
    }


def enforcing(standard: str) -> dict[str, Any]:
    """The namespace with a Pod Security Standard."""
    return {"metadata": {"name": "llm", "uid": "1", "labels": {"pod-security.kubernetes.io/enforce": standard}}}


FACTS = Facts(VERSION, 0.0, namespaces={"llm": space()}, quotas={"llm": ()}, limits={"llm": ()}, classes=(), volumes=())
SECRET = {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "token", "key": "HF_TOKEN"}}}]}
OPTIONAL = {"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k", "optional": True}}}]}
STANDARD = named("standard", kind="StorageClass")
DEFAULT = named("fast", kind="StorageClass")
DEFAULT["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
VOLUME = named("pv", kind="PersistentVolume", spec={"storageClassName": "slow"}, status={"phase": "Available"})
KEPT = {**VOLUME, "spec": {**VOLUME["spec"], "claimRef": {"namespace": "llm", "name": "another"}}}
EXTERNAL = named("anything", kind="ExternalSecret", spec={"target": {"name": "token"}})
GPU_POD = step(deployment(pod(**GPU)))
READS = step(deployment(pod(**SECRET)))
NEEDS_CLAIM = step(claim())


def found(name: str, facts: Facts, *steps: Step) -> list[Record]:
    """What one check comes to."""
    return [one for one in check(facts, steps, "cat", ()) if one.check.name == name]


def test_every_check_has_a_result_and_none_is_ok_unseen() -> None:
    """Where nothing could be read and something is new, every check but kinds says that it was skipped, and why."""
    why = NotRead("x may not be read")
    blind = Facts(
        why,
        None,
        namespaces={"llm": why},
        classes=why,
        nodes=why,
        quotas={"llm": why},
        limits={"llm": why},
        secrets={("llm", "token"): why},
    )
    steps = [GPU_POD, READS, NEEDS_CLAIM]
    records = (*check(blind, steps, "cat", ()), *permissions([Right("list", "", "pods", "llm")], why, ""))
    assert {one.check.name for one in records} == set(BY_NAME)
    outcomes = {one.outcome for one in records if one.check.name != "kinds"}
    assert outcomes == {Outcome.SKIPPED}
    assert all(one.message and not one.idle for one in records)


CASES: list[tuple[str, str, Facts, Sequence[Step], str]] = [
    ("api-version", "error", replace(FACTS, version={"gitVersion": "v1.26.9"}), [], "v1.26.9"),
    ("api-version", "ok", replace(FACTS, version={"gitVersion": "v1.27.0"}), [], "tested with 1.36"),
    ("api-version", "warning", replace(FACTS, version={"gitVersion": "v1.37.0-rc.1"}), [], "made for 1.27 and newer"),
    ("api-version", "ok", FACTS, [], "v1.36.3"),
    ("api-version", "skipped", replace(FACTS, version={}), [], "calls its version ''"),
    ("clock", "warning", replace(FACTS, skew=-5.5), [], "at least 6 s behind"),
    ("clock", "ok", replace(FACTS, skew=5.0), [], "less than 5 s"),
    ("kinds", "error", replace(FACTS, missing_kinds={("apps/v1", "Deployment"): "x"}), [READS], "the kind Deployment"),
    ("kinds", "ok", FACTS, [READS], "all served"),
    (
        "namespaces",
        "error",
        replace(FACTS, namespaces={"llm": {"status": {"phase": "Terminating"}}}),
        [],
        "being deleted",
    ),
    ("namespaces", "ok", replace(FACTS, namespaces={"llm": None}), [], "not there yet"),
    (
        "pod-security",
        "warning",
        replace(FACTS, namespaces={"llm": enforcing("baseline")}),
        [step(deployment({**POD, "hostNetwork": True}))],
        "hostNetwork",
    ),
    ("pod-security", "ok", replace(FACTS, namespaces={"llm": enforcing("baseline")}), [step(deployment(POD))], "llm"),
    (
        "pod-security",
        "warning",
        replace(FACTS, namespaces={"llm": enforcing("restricted")}),
        [step(deployment(POD))],
        "root as its user",
    ),
    ("pod-security", "skipped", FACTS, [step(deployment(POD))], "names no standard"),
    (
        "pod-security",
        "skipped",
        replace(FACTS, namespaces={"llm": enforcing("restricted")}),
        [step(deployment(POD), changes=False)],
        "nothing that changes",
    ),
    ("storage-class", "error", replace(FACTS, classes=[STANDARD]), [NEEDS_CLAIM], "has no default"),
    ("storage-class", "ok", replace(FACTS, classes=[DEFAULT]), [NEEDS_CLAIM], "the default"),
    (
        "storage-class",
        "error",
        replace(FACTS, classes=[DEFAULT]),
        [step(claim(storageClassName="slow"))],
        "StorageClass slow",
    ),
    ("storage-class", "ok", replace(FACTS, classes=[STANDARD]), [step(claim(storageClassName="standard"))], "standard"),
    ("storage-class", "ok", replace(FACTS, volumes=[VOLUME]), [step(claim(storageClassName="slow"))], "is free"),
    (
        "storage-class",
        "error",
        replace(FACTS, volumes=[KEPT]),
        [step(claim(storageClassName="slow"))],
        "no PersistentVolume is free",
    ),
    ("storage-class", "warning", replace(FACTS, volumes=NotRead("no")), [NEEDS_CLAIM], "is not known: no"),
    ("storage-class", "skipped", FACTS, [step(claim(), live=claim())], "no volume is new"),
    ("secrets", "error", replace(FACTS, secrets={("llm", "token"): None}), [READS], "one would not start"),
    ("secrets", "error", replace(FACTS, secrets={("llm", "token"): frozenset({"token"})}), [READS], "no key HF_TOKEN"),
    ("secrets", "ok", replace(FACTS, secrets={("llm", "token"): frozenset({"HF_TOKEN", "b"})}), [READS], "1 there"),
    ("secrets", "skipped", FACTS, [step(deployment(pod(**OPTIONAL)))], "nothing that changes reads"),
    ("secrets", "skipped", FACTS, [READS, step(named("token", kind="Secret"))], "nothing that changes reads"),
    ("secrets", "skipped", FACTS, [READS, step(EXTERNAL)], "nothing that changes reads"),
    (
        "secrets",
        "warning",
        replace(FACTS, secrets={("llm", "pull"): None}),
        [step(deployment({**POD, "imagePullSecrets": [{"name": "pull"}]}))],
        "pulled without it",
    ),
    ("gpus", "warning", replace(FACTS, nodes=[node(1)]), [GPU_POD], "nvidia.com/gpu"),
    ("gpus", "ok", replace(FACTS, nodes=[node(2)]), [GPU_POD], "2 nvidia.com/gpu on 1 node"),
    ("gpus", "skipped", replace(FACTS, nodes=[node(0)]), [step(deployment(pod(**GPU), replicas=0))], "nothing that"),
    ("gpus", "skipped", replace(FACTS, nodes=[{"kind": "Node", "metadata": {}}]), [GPU_POD], "cannot be read"),
    (
        "quota",
        "error",
        replace(FACTS, quotas={"llm": [quota({"requests.nvidia.com/gpu": "4"}, {"requests.nvidia.com/gpu": "3"})]}),
        [GPU_POD],
        "2 more asked for, 1 free",
    ),
    ("quota", "ok", replace(FACTS, quotas={"llm": [quota({"requests.nvidia.com/gpu": "2"})]}), [GPU_POD], "room"),
    (
        "quota",
        "warning",
        replace(FACTS, quotas={"llm": [quota({"pods": "1"}, {"pods": "1"})]}),
        [step(deployment(pod(image="x:2")), live=deployment(POD))],
        "not while pods are replaced",
    ),
    (
        "quota",
        "error",
        replace(FACTS, quotas={"llm": [quota({"limits.cpu": "9"})]}),
        [step(deployment(POD))],
        "names no limits.cpu",
    ),
    (
        "quota",
        "ok",
        replace(
            FACTS,
            quotas={"llm": [quota({"limits.cpu": "9"})]},
            limits={"llm": [limits("Container", default={"cpu": "1"})]},
        ),
        [step(deployment(POD))],
        "room",
    ),
    (
        "quota",
        "error",
        replace(FACTS, quotas={"llm": [quota({"count/deployments.apps": "0"})]}),
        [step(deployment(POD))],
        "1 more asked for, none free",
    ),
    (
        "quota",
        "skipped",
        replace(FACTS, quotas={"llm": [quota({"pods": "0"}, scopes=["BestEffort"])]}),
        [step(deployment(POD))],
        "scopes",
    ),
    (
        "quota",
        "ok",
        replace(FACTS, quotas={"llm": [quota({"pods": "0"})]}),
        [step(deployment(POD)), step(named("most", kind="ResourceQuota", spec={"hard": {"pods": "1"}}))],
        "room",
    ),
    ("quota", "error", replace(FACTS, quotas={"llm": [quota({"requests.storage": "1Mi"})]}), [NEEDS_CLAIM], "storage"),
    (
        "limit-range",
        "error",
        replace(FACTS, limits={"llm": [limits("Container", max={"cpu": "500m"})]}),
        [step(deployment(pod(**SMALL)))],
        "the most is 500m",
    ),
    (
        "limit-range",
        "ok",
        replace(FACTS, limits={"llm": [limits("Container", max={"cpu": "1000m"})]}),
        [step(deployment(pod(**SMALL)))],
        "llm: within 1",
    ),
    (
        "limit-range",
        "error",
        replace(FACTS, limits={"llm": [limits("Container", min={"memory": "2Gi"})]}),
        [step(deployment(pod(**SMALL)))],
        "the least is 2Gi",
    ),
    (
        "limit-range",
        "error",
        replace(FACTS, limits={"llm": [limits("PersistentVolumeClaim", max={"storage": "1Mi"})]}),
        [NEEDS_CLAIM],
        "the most is 1Mi",
    ),
]


@pytest.mark.parametrize(("name", "outcome", "facts", "steps", "says"), CASES)
def test_check(name: str, outcome: str, facts: Facts, steps: Sequence[Step], says: str) -> None:
    """A check comes to this, and says why."""
    records = found(name, facts, *steps)
    assert {one.outcome.value for one in records} == {outcome}
    assert says in " ".join(one.message for one in records)
    assert all(one.hint for one in records if one.counts)


OLD: dict[str, Any] = {
    **deployment(pod(**GPU)),
    "metadata": {
        "name": "old",
        "namespace": "llm",
        "labels": {
            "app.kubernetes.io/instance": "old",
            "app.kubernetes.io/part-of": "cat",
            "app.kubernetes.io/managed-by": "wtsctl",
        },
    },
}
GPU_QUOTA = {"requests.nvidia.com/gpu": "2", "count/deployments.apps": "1"}
FULL = quota(GPU_QUOTA, {"requests.nvidia.com/gpu": "2", "count/deployments.apps": "1"})


def removing(name: str, facts: Facts, *removed: dict[str, Any]) -> list[tuple[str, str]]:
    """What one check comes to for a new model with two GPUs where these objects are pruned."""
    return [
        (one.outcome.value, one.message)
        for one in check(facts, [GPU_POD], "cat", (), removed)
        if one.check.name == name
    ]


def test_what_is_pruned_makes_room_in_a_quota() -> None:
    """For the pods of another model, as far as they are there, and not for objects: those are made before."""
    only_gpus = quota({"requests.nvidia.com/gpu": "2"}, {"requests.nvidia.com/gpu": "2"})
    facts = replace(FACTS, quotas={"llm": [only_gpus]})
    ((without, text),) = removing("quota", facts)
    assert (without, "2 more asked for, none free" in text) == ("error", True)
    assert [one for one, _ in removing("quota", facts, OLD)] == ["ok"]
    elsewhere = {**OLD, "metadata": {**OLD["metadata"], "namespace": "other"}}
    assert [one for one, _ in removing("quota", facts, elsewhere)] == ["error"]
    # Its pods never came: the two that are used are not its.
    none_used = quota({"requests.nvidia.com/gpu": "1"}, {"requests.nvidia.com/gpu": "0"})
    assert [one for one, _ in removing("quota", replace(FACTS, quotas={"llm": [none_used]}), OLD)] == ["error"]
    ((counted, text),) = removing("quota", replace(FACTS, quotas={"llm": [FULL]}), OLD)
    assert (counted, "count/deployments.apps" in text, "nvidia" in text) == ("error", True, False)


def test_what_is_pruned_makes_room_on_the_nodes() -> None:
    """The GPUs of a model that goes are free for the one that comes; those of a model that stays are not."""
    there = {"kind": "Pod", "apiVersion": "v1", "spec": {**pod(**GPU), "nodeName": "gpu-1"}, "status": {}}
    there["metadata"] = {**OLD["metadata"], "name": "old-1"}
    facts = replace(FACTS, nodes=[node(2), there])
    assert [one for one, _ in removing("gpus", facts)] == ["warning"]
    assert [one for one, _ in removing("gpus", facts, OLD)] == ["ok"]
    other = {**OLD, "metadata": {**OLD["metadata"], "labels": {"app.kubernetes.io/instance": "other"}}}
    assert [one for one, _ in removing("gpus", facts, other)] == ["warning"]


def test_every_check_has_a_case_that_is_found_and_one_that_is_well() -> None:
    """The cases above leave no check out; `permissions` has its own below."""
    told = {(name, outcome in {"error", "warning"}) for name, outcome, *_ in CASES}
    assert told >= {(one.name, bad) for one in CHECKS if one.name != "permissions" for bad in (True, False)}


def test_nothing_is_read_where_nothing_changes() -> None:
    """Of a deploy that changes nothing no Secret, node, quota or class is looked at."""
    steps = [replace(one, changes=False, live=one.doc) for one in (GPU_POD, READS, NEEDS_CLAIM)]
    nothing = wanted(steps)
    assert (nothing.classes, nothing.nodes, nothing.secrets, nothing.quotas) == (False, False, (), ())
    some = wanted([GPU_POD, READS, NEEDS_CLAIM])
    assert (some.classes, some.nodes, some.secrets, some.quotas) == (True, True, (("llm", "token"),), ("llm",))


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["services/proxy"]}, True),
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, True),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["*/proxy"]}, True),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["services"]}, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["services/proxy"]}, False),
        ({"verbs": ["list"], "apiGroups": ["apps"], "resources": ["services/proxy"]}, False),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["services/proxy"], "resourceNames": ["a:1"]}, True),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["services/proxy"], "resourceNames": ["b:1"]}, False),
    ],
)
def test_rules(rule: dict[str, Any], holds: bool) -> None:
    """What a rule grants, as RBAC compares."""
    assert granted(Right("list", "", "services/proxy", "llm", "a:1"), [rule]) is holds


def test_permissions_say_all_that_is_lacking() -> None:
    """One record a kind and namespace, with every verb and name, and as whom."""
    needed = making([READS, NEEDS_CLAIM])
    assert [one.verb for one in needed] == ["create", "patch"] * 2
    again = [one.verb for one in making([replace(NEEDS_CLAIM, live=claim(), again=True)])]
    assert again == ["create", "patch", "delete", "get"]
    assert making([replace(NEEDS_CLAIM, live=claim())]) == []
    lacking = list(permissions(needed, needed[:2], "ada"))
    assert [one.message for one in lacking] == [
        'User "ada" may not create, patch deployments.apps one in the namespace "llm"'
    ]
    assert [one.outcome for one in permissions(needed, [], "")] == [Outcome.OK]


PODS: list[tuple[str, Callable[[], dict[str, Any]], str]] = [
    ("baseline", lambda: pod(securityContext={"privileged": True}), "privileged"),
    (
        "baseline",
        lambda: pod(securityContext={"capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}}),
        "capability SYS_ADMIN",
    ),
    ("baseline", lambda: pod(ports=[{"containerPort": 1, "hostPort": 1}]), "a port of the host"),
    ("baseline", lambda: {**POD, "volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "type hostPath"),
    ("baseline", lambda: {**POD, "securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}, "kernel.msgmax"),
    ("baseline", lambda: pod(securityContext={"seccompProfile": {"type": "Unconfined"}}), "no seccomp profile"),
    ("baseline", lambda: pod(securityContext={"procMount": "Unmasked"}), "/proc"),
    ("restricted", lambda: {**POD, "volumes": [{"name": "a", "nfs": {}}]}, "type nfs"),
    ("restricted", lambda: pod(securityContext={"capabilities": {"drop": ["ALL"]}}), "privilege escalation"),
    ("baseline", lambda: pod(securityContext={"capabilities": {"add": ["CHOWN"]}}), ""),
    ("privileged", lambda: {**POD, "hostPID": True}, ""),
]


@pytest.mark.parametrize(("standard", "spec", "says"), PODS)
def test_pod_security_standards(standard: str, spec: Callable[[], dict[str, Any]], says: str) -> None:
    """What a standard forbids is named; what it allows is not."""
    wrong = ", ".join(forbidden(spec(), standard))
    assert says in wrong
    assert bool(wrong) is bool(says)


@pytest.mark.parametrize(
    ("began", "ended", "ahead"),
    [(100.0, 100.2, 0.0), (101.1, 101.2, pytest.approx(0.1)), (99.0, 99.5, -0.5), (100.9, 102.0, 0.0)],
)
def test_skew(began: float, ended: float, ahead: float) -> None:
    """The least by which clocks that were read so have to differ; the header's second has a length."""
    assert skew("Thu, 01 Jan 1970 00:01:40 GMT", began, ended) == ahead
    assert skew("yesterday", began, ended) is None


def test_errors_can_be_ignored_by_name() -> None:
    """An ignored error is a warning, said all the same; others stay."""
    records = found("secrets", replace(FACTS, secrets={("llm", "token"): None}), READS)
    assert [one.code for one in problems(records)] == ["preflight.secrets"]
    for names in (["secrets"], ["all"]):
        assert problems(ignoring(records, names)) == []
        assert "llm/Secret/token: it is not there" in warnings(ignoring(records, names))[0]
    assert ignoring(records, ["quota"]) == tuple(records)


def test_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Grouped and whole as a table; short has what is not ok, a line each; JSON counts all. No control codes."""
    from wtsctl.report.terminal import Terminal

    records = check(replace(FACTS, secrets={("llm", "token"): None}, skew=None), [READS], "cat", ())
    report = PreflightReport(records)
    report.show(Terminal())
    whole = capsys.readouterr()
    assert "secrets\n  error    secrets: llm/Secret/token: it is not there" in whole.out
    assert "see docs/reference/preflight.md#secrets" in whole.out
    assert whole.err == "preflight: 1 error, 5 ok, 4 skipped\n"
    report.show_short(Terminal())
    short = capsys.readouterr().out
    assert [line.split(" ", 2)[:2] for line in short.splitlines()] == [
        ["skipped", "clock:"],
        ["skipped", "pod-security:"],
        ["error", "secrets:"],
    ]
    assert "\x1b" not in whole.out + short
    assert report.failed
    assert report.data()["summary"] == {"ok": 5, "warning": 0, "error": 1, "skipped": 4}


def test_what_is_alike_is_said_once() -> None:
    """Forty models that lack the same are one warning with the first names; in JSON each has its own record."""
    steps = []
    for at in range(40):
        doc = deployment(pod(**GPU))
        steps.append(step({**doc, "metadata": {**doc["metadata"], "name": f"m{at}"}}))
    records = found("gpus", replace(FACTS, nodes=[]), *steps)
    assert len(PreflightReport(records).data()["checks"]) == 40
    (said,) = warnings(records)
    assert said.startswith("warning: llm/Deployment/m0, llm/Deployment/m1 and 38 more: there are no nodes")


def test_the_page_is_written_from_the_checks() -> None:
    """docs/reference/preflight.md is what the program says, and has every anchor that a hint points to."""
    root = Path(server.__file__).parents[3]
    written = runpy.run_path(str(root / "docs/reference/generate_preflight.py"))["page"]()
    assert (root / "docs/reference/preflight.md").read_text() == written, "run `make docs`"
    for one in CHECKS:
        page, _, anchor = one.docs.partition("#")
        assert f"### {anchor}\n" in (root / page).read_text()


def test_the_tested_version_is_the_sandbox() -> None:
    """The newest version that is called tested is the one whose API server the tests start."""
    module = Path(server.__file__).parents[2] / "sandbox" / "module" / "go.mod"
    major, minor = server.TESTED
    assert f"k8s.io/kubernetes v{major}.{minor}." in module.read_text()

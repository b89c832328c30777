"""Whether the pods of a deploy will be admitted to their namespaces, and find GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wtsctl.errors import TemplateError
from wtsctl.plan.groups import Group, groups, replaced
from wtsctl.plan.nodes import BadNode, inventory
from wtsctl.plan.placement import place
from wtsctl.plan.preflight.facts import Facts, NotRead, Object, Step
from wtsctl.plan.preflight.record import Check, Record, idle, ok, skipped, warning
from wtsctl.plan.verdict import Verdict
from wtsctl.plan.wording import amount_text
from wtsctl.pods.made import templates, whole_templates
from wtsctl.pods.security import forbidden

_ENFORCE = "pod-security.kubernetes.io/enforce"

POD_SECURITY = Check(
    "pod-security",
    "namespaces",
    "the namespaces admit the pods",
    "The label `pod-security.kubernetes.io/enforce` of each namespace in which something with pods is new or changed, "
    "against the Pod Security Standard that it names.",
    "A warning: the standard forbids something of the pods. The object that makes them is accepted, and its pods are "
    "not. No error, since the API server may exempt who makes them, which cannot be read. A namespace without the "
    "label has the API server's default, which cannot be read either.",
    "Keep the securityContext of our templates, set `platform.podSecurity`, or label the namespace otherwise.",
    "kubernetes.io/docs/concepts/security/pod-security-admission",
)
GPUS = Check(
    "gpus",
    "nodes",
    "there are nodes with room for the pods that ask for GPUs",
    "Nodes, and what the pods on them request, where something with GPUs is new or changed. Computed as by "
    "`wtsctl plan`; the pods that this deploy replaces, or that go with what `--prune` deletes, count as gone.",
    "A warning: some pod has no place. No error, since nodes may be added, by hand or by an autoscaler.",
    "`wtsctl plan` shows every model and node, and what would help.",
)


def pod_security(facts: Facts, steps: Sequence[Step]) -> Iterator[Record]:
    """Whether the namespaces admit the pods."""
    labelled = {one.name: one for one in steps if one.kind == "Namespace" and one.changes}
    making = [one for one in steps if one.changes and one.namespace and any(made.spec for made in templates(one.doc))]
    well: list[str] = []
    for namespace in dict.fromkeys(one.namespace for one in making):
        item = facts.namespaces.get(namespace, NotRead("it was not looked at: no namespace is among what is deployed"))
        if isinstance(item, NotRead):
            yield skipped(POD_SECURITY, item.why, f"Namespace/{namespace}")
            continue
        labels: dict[str, Any] = dict(((item or {}).get("metadata") or {}).get("labels") or {})
        if namespace in labelled:
            labels |= labelled[namespace].doc["metadata"].get("labels") or {}
        standard = labels.get(_ENFORCE)
        if not standard:
            text = "it names no standard, and the API server's default cannot be read"
            yield skipped(POD_SECURITY, text, f"Namespace/{namespace}")
            continue
        wrong = list(_not_admitted([one for one in making if one.namespace == namespace], str(standard)))
        yield from wrong
        if not wrong:
            well.append(f"{namespace} ({standard})")
    if well:
        yield ok(POD_SECURITY, ", ".join(well))
    elif not making:
        yield idle(POD_SECURITY, "nothing that changes makes pods")


def _not_admitted(steps: Sequence[Step], standard: str) -> Iterator[Record]:
    for one in steps:
        found = dict.fromkeys(what for made in templates(one.doc) for what in forbidden(made.spec, standard))
        if found:
            text = f"the namespace enforces `{standard}`, which forbids of its pods: {', '.join(found)}"
            yield warning(
                POD_SECURITY, text, one.identity, "change the pods' securityContext, or the namespace's label"
            )


def asks_for_gpus(steps: Sequence[Step]) -> bool:
    """Whether the nodes have to be looked at."""
    try:
        return bool(_with_devices(steps))
    except TemplateError:
        # The check says so.
        return False


def _with_devices(steps: Sequence[Step]) -> list[Group]:
    found = groups((one.doc, one.model) for one in steps if one.changes or _scales(one))
    owners = {one.identity for one in steps if one.changes}
    return [
        group
        for group in found
        if group.owner in owners
        and any("/" in name and count for pod in group.pods for name, count in pod.requests.items())
    ]


def _scales(step: Step) -> bool:
    """Whether it says how many pods something else starts with."""
    return step.kind in {"ScaledObject", "HorizontalPodAutoscaler"}


def gpus(facts: Facts, steps: Sequence[Step], installation: str, removed: Sequence[Object] = ()) -> Iterator[Record]:
    """Whether the pods with GPUs find a place.

    Args:
        facts: what was read.
        steps: what the deploy does.
        installation: the catalog's name.
        removed: what it prunes.
    """
    try:
        wanted = _with_devices(steps)
    except TemplateError as error:
        yield skipped(GPUS, f"{error.problems[0].where}: {error.problems[0].message}")
        return
    if not wanted:
        yield idle(GPUS, "nothing that changes asks for a GPU")
        return
    if isinstance(facts.nodes, NotRead):
        yield skipped(GPUS, facts.nodes.why)
        return
    try:
        found = inventory(facts.nodes, _gone(wanted, steps, installation, removed))
    except BadNode as error:
        yield skipped(GPUS, f"the nodes cannot be read: {error}")
        return
    placements = place(wanted, found.nodes, lambda _group, _node: "")
    for one in placements:
        if one.verdict is Verdict.UNKNOWN:
            yield skipped(GPUS, one.reason, one.owner)
        elif one.verdict is Verdict.DOES_NOT_FIT:
            count = len(one.groups)
            short = f"{one.placed} of {count} replicas have a place; " if count > 1 and one.placed else ""
            remedy = f"{one.remedies[0].text}; " if one.remedies else ""
            hint = f"{remedy}`wtsctl plan` shows all of it; the pods wait until there is room"
            yield warning(GPUS, f"{short}{one.reason}", one.owner, hint)
    if all(one.verdict is Verdict.FITS for one in placements):
        sums = _sums(wanted)
        text = ", ".join(f"{amount_text(name, count)} {name}" for name, count in sums.items())
        yield ok(GPUS, f"{text} on {len(found.nodes)} node{'s' * (len(found.nodes) != 1)}")


def _gone(
    wanted: Sequence[Group], steps: Sequence[Step], installation: str, removed: Sequence[Object]
) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a pod is replaced, or goes with what is removed."""
    stays = {(one.namespace, one.name) for one in steps if not one.changes and whole_templates(one.doc)}
    gone = {_instance(one) for one in removed if whole_templates(one)} - stays
    is_replaced = replaced(wanted, installation)

    def ours(pod: Mapping[str, Any]) -> bool:
        labels = (pod.get("metadata") or {}).get("labels") or {}
        mine = labels.get("app.kubernetes.io/part-of") == installation
        return is_replaced(pod) or (
            mine and labels.get("app.kubernetes.io/managed-by") == "wtsctl" and _instance(pod) in gone
        )

    return ours


def _instance(item: Mapping[str, Any]) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    labels = metadata.get("labels") or {}
    return str(metadata.get("namespace", "")), str(labels.get("app.kubernetes.io/instance", ""))


def _sums(wanted: Sequence[Group]) -> Mapping[str, int]:
    sums: dict[str, int] = {}
    for group in wanted:
        for pod in group.pods:
            for name, count in pod.requests.items():
                if "/" in name and count:
                    sums[name] = sums.get(name, 0) + count
    return sums

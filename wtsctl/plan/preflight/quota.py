"""Whether there is room in a namespace's ResourceQuotas for what is new, and whether its LimitRanges allow the pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from wtsctl.catalog.quantity import parse_quantity
from wtsctl.plan.preflight.facts import Facts, NotRead, Object, Step
from wtsctl.plan.preflight.record import Check, Record, error, idle, ok, skipped, warning
from wtsctl.plan.wording import amount_text
from wtsctl.pods.made import replicas, scaled_by, whole_templates
from wtsctl.pods.quota import CLAIMS, STORAGE, taken
from wtsctl.pods.requests import CPU, amount

QUOTA = Check(
    "quota",
    "quota",
    "the namespaces' ResourceQuotas have room",
    "The ResourceQuotas of each namespace in which something is new or changed, against what that takes beyond what is "
    "there: objects, volumes, and what the pods request with as many replicas as they start with. A quota that this "
    "deploy itself writes counts as it will be; what the pods of what `--prune` deletes take counts as free.",
    "An error: there is no room, so that an object or its pods would be refused; or a quota on a resource that a "
    "container does not name. A warning: there is room, but not for the pods that a rollout adds for a time. Quotas "
    "with scopes are not compared.",
    "Ask for a larger quota, or for less: `replicas`, `gpus`, `resources`.",
    "kubernetes.io/docs/concepts/policy/resource-quotas",
)
LIMIT_RANGE = Check(
    "limit-range",
    "quota",
    "the namespaces' LimitRanges allow the pods and volumes",
    "The LimitRanges of the same namespaces: `min` and `max` of containers and of volume claims, with the defaults "
    "that they fill in. `maxLimitRequestRatio` and limits on whole pods are not compared.",
    "An error: a container or a claim is outside of them, so that it would be refused.",
    "Change `resources`, or the LimitRange.",
    "kubernetes.io/docs/concepts/policy/limit-range",
)

# Other names that a quota has for the same.
_SAME = {name: f"requests.{name}" for name in ("cpu", "memory", "ephemeral-storage")}
# The kinds that a quota counts by their plain name too: pkg/quota/v1/evaluator/core of kubernetes/kubernetes.
_PLAIN = frozenset(("configmaps", "resourcequotas", "secrets", "services"))
# With these in a quota every container has to name them.
_TO_BE_NAMED = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def quota(facts: Facts, steps: Sequence[Step], removed: Sequence[Object] = ()) -> Iterator[Record]:
    """Whether there is room for what is new, once what is removed has gone."""
    spaces = namespaces(steps)
    for namespace in spaces:
        found = facts.quotas.get(namespace, ())
        if isinstance(found, NotRead):
            yield skipped(QUOTA, found.why, f"Namespace/{namespace}")
            continue
        limits = facts.limits.get(namespace, ())
        own = {one.name: one.doc for one in steps if one.kind == "ResourceQuota" and one.namespace == namespace}
        there = [one for one in steps if one.changes and one.namespace == namespace]
        for item in found:
            gone = [one for one in removed if one["metadata"].get("namespace") == namespace]
            yield from _one(item, own, there, (limits, gone), steps)
        if not found:
            yield ok(QUOTA, f"{namespace} has none")
    if not spaces:
        yield idle(QUOTA, "nothing is new or changed in a namespace that is there")


def namespaces(steps: Sequence[Step]) -> list[str]:
    """Those that are there, as far as is known, and in which something changes."""
    new = {one.name for one in steps if one.kind == "Namespace" and one.changes and one.live is None}
    return [name for name in dict.fromkeys(one.namespace for one in steps if one.changes) if name and name not in new]


def _one(
    item: Object,
    own: Mapping[str, Object],
    steps: Sequence[Step],
    around: tuple[Any, Sequence[Object]],
    everything: Sequence[Step],
) -> Iterator[Record]:
    limits, removed = around
    name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
    where = f"{namespace}/ResourceQuota/{name}"
    spec, status = item.get("spec") or {}, item.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        yield skipped(QUOTA, "it has scopes", where)
        return
    hard = (
        (own[name].get("spec") or {}).get("hard") or {} if name in own else status.get("hard") or spec.get("hard") or {}
    )
    used = status.get("used") or {}
    try:
        free = {
            _SAME.get(key, key): _amount(key, value) - _amount(key, used.get(key, 0)) for key, value in hard.items()
        }
        for key, value in _freed(removed).items():
            if key in free:
                # No more than is used: pods that never came do not go either.
                now = used.get(key, used.get(key.removeprefix("requests."), 0))
                free[key] += min(value, _amount(key, now))
        calm, busy = (_more(steps, everything, rollout=rollout) for rollout in (False, True))
        unnamed = list(_unnamed(free, steps, everything, limits))
    except (ValueError, TypeError, AttributeError, KeyError) as wrong:
        yield skipped(QUOTA, f"what is asked for cannot be counted: {wrong}", where)
        return
    yield from (error(QUOTA, text, identity, f"{where} wants it of every container") for text, identity in unnamed)
    short = [
        _short(key, free[key], wanted) for key, wanted in calm.items() if key in free and wanted > max(free[key], 0)
    ]
    rolling = [
        _short(key, free[key], wanted) for key, wanted in busy.items() if key in free and wanted > max(free[key], 0)
    ]
    if short:
        yield error(QUOTA, "; ".join(short), where, "ask for a larger quota, or for less")
    elif rolling:
        text = f"there is room, but not while pods are replaced: {'; '.join(rolling)}"
        yield warning(QUOTA, text, where, "ask for a larger quota, or let the old pods go first (strategy Recreate)")
    elif not unnamed:
        yield ok(QUOTA, "there is room", where)


def _freed(removed: Sequence[Object]) -> dict[str, int]:
    """What goes with the pods of what is removed.

    Not the objects themselves, since what is new is made before they go; nor volumes, which stay.
    """
    found: dict[str, int] = defaultdict(int)
    for one in removed:
        for name, value in taken(_at_start(one), {}, rollout=False).items():
            if name not in {CLAIMS, STORAGE}:
                found[name] += value
    return found


def _short(key: str, free: int, wanted: int) -> str:
    resource = key.rpartition(".")[2] if key.endswith((".cpu", ".memory")) else key
    left = amount_text(resource, max(free, 0)) if free > 0 else "none"
    return f"{key}: {amount_text(resource, wanted)} more asked for, {left} free"


def _more(steps: Sequence[Step], everything: Sequence[Step], *, rollout: bool) -> dict[str, int]:
    """What the steps take beyond what is there, by the names that a quota has for it."""
    found: dict[str, int] = defaultdict(int)
    scaled = {key: (least, least) for key, (least, _) in scaled_by([one.doc for one in everything]).items()}
    for one in steps:
        if one.live is None:
            group = f".{one.group}" if one.group else ""
            found[f"count/{one.resource}{group}"] += 1
            if not one.group and one.resource in _PLAIN:
                found[one.resource] += 1
        for name, value in taken(_at_start(one.doc), scaled, rollout=rollout and one.live is not None).items():
            found[name] += value
        for name, value in taken(_at_start(one.live), {}, rollout=False).items() if one.live is not None else ():
            found[name] -= value
        for name, value in _of_class(one):
            found[name] += value
    return dict(found)


def _at_start(doc: Object) -> Object:
    """An object as it starts: KServe counts an InferenceService's most replicas only once it is scaled."""
    if doc.get("kind") != "InferenceService":
        return doc
    predictor = {key: value for key, value in doc["spec"]["predictor"].items() if key != "maxReplicas"}
    return {**doc, "spec": {**doc["spec"], "predictor": predictor}}


def _of_class(step: Step) -> Iterator[tuple[str, int]]:
    """What a new claim takes of a quota on its StorageClass."""
    spec = step.doc.get("spec") or {}
    named = spec.get("storageClassName") if step.kind == "PersistentVolumeClaim" and step.live is None else None
    if named:
        size = spec["resources"]["requests"]["storage"]
        yield f"{named}.storageclass.storage.k8s.io/requests.storage", amount("storage", size)
        yield f"{named}.storageclass.storage.k8s.io/persistentvolumeclaims", 1


def _amount(key: str, value: object) -> int:
    resource = key.rpartition(".")[2]
    return amount(CPU if resource == CPU else key, value)


def _unnamed(
    free: Mapping[str, int], steps: Sequence[Step], everything: Sequence[Step], limits: Any
) -> Iterator[tuple[str, str]]:
    """What a container has to name and does not, and no LimitRange fills in."""
    wanted = [key for key in _TO_BE_NAMED if key in free]
    if not wanted or isinstance(limits, NotRead):
        # A LimitRange that may not be read may fill it in.
        return
    for one, container in _containers(steps, everything):
        given = _filled(container, limits)
        lacking = [key for key in wanted if key not in given]
        if lacking:
            yield f"container {container.get('name')} names no {', '.join(lacking)}", one.identity


def _containers(steps: Sequence[Step], everything: Sequence[Step]) -> Iterator[tuple[Step, Mapping[str, Any]]]:
    """The containers of what makes pods right away."""
    scaled = scaled_by([one.doc for one in everything])
    for one in steps:
        made = whole_templates(one.doc)
        if not made or not replicas(one.doc, scaled):
            continue
        for template in made:
            for key in ("initContainers", "containers"):
                yield from ((one, container) for container in template.spec.get(key) or ())


def _filled(container: Mapping[str, Any], limits: Sequence[Object]) -> dict[str, Fraction]:
    """The requests and limits of a container with what LimitRanges fill in, as `requests.cpu`."""
    resources = container.get("resources") or {}
    limited, asked = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    asked = limited | asked
    for rule in _rules(limits, "Container"):
        asked = {**(rule.get("defaultRequest") or rule.get("default") or {}), **asked}
        limited = {**(rule.get("default") or {}), **limited}
    found = {f"requests.{name}": value for name, value in asked.items()}
    found |= {f"limits.{name}": value for name, value in limited.items()}
    return {name: parse_quantity(str(value)) for name, value in found.items()}


def _rules(limits: Sequence[Object], kind: str) -> list[Mapping[str, Any]]:
    return [rule for one in limits for rule in (one.get("spec") or {}).get("limits") or () if rule.get("type") == kind]


def limit_range(facts: Facts, steps: Sequence[Step]) -> Iterator[Record]:
    """Whether containers and claims are within the namespaces' LimitRanges."""
    spaces = namespaces(steps)
    for namespace in spaces:
        limits = facts.limits.get(namespace, ())
        if isinstance(limits, NotRead):
            yield skipped(LIMIT_RANGE, limits.why, f"Namespace/{namespace}")
            continue
        there = [one for one in steps if one.changes and one.namespace == namespace]
        try:
            outside = list(_outside(there, steps, limits))
        except (ValueError, TypeError, AttributeError, KeyError) as wrong:
            yield skipped(LIMIT_RANGE, f"what is asked for cannot be compared: {wrong}", f"Namespace/{namespace}")
            continue
        for text, identity in outside:
            names = ", ".join(f"{namespace}/LimitRange/{one['metadata']['name']}" for one in limits)
            yield error(LIMIT_RANGE, text, identity, f"change its resources, or {names}")
        if not outside:
            count = len(limits)
            yield ok(LIMIT_RANGE, f"{namespace}: within {count}" if count else f"{namespace} has none")
    if not spaces:
        yield idle(LIMIT_RANGE, "nothing is new or changed in a namespace that is there")


def _outside(steps: Sequence[Step], everything: Sequence[Step], limits: Sequence[Object]) -> Iterator[tuple[str, str]]:
    for one, container in _containers(steps, everything):
        given = _filled(container, limits)
        for rule in _rules(limits, "Container"):
            for text in _beyond(rule, {bound: _part(given, bound) for bound in ("requests", "limits")}):
                yield f"container {container.get('name')}: {text}", one.identity
    for one in steps:
        if one.kind != "PersistentVolumeClaim" or one.live is not None:
            continue
        asked = {key: parse_quantity(str(value)) for key, value in one.doc["spec"]["resources"]["requests"].items()}
        for rule in _rules(limits, "PersistentVolumeClaim"):
            yield from ((text, one.identity) for text in _beyond(rule, {"requests": asked, "limits": asked}))


def _part(given: Mapping[str, Fraction], bound: str) -> dict[str, Fraction]:
    return {name.removeprefix(f"{bound}."): value for name, value in given.items() if name.startswith(f"{bound}.")}


def _beyond(rule: Mapping[str, Any], given: Mapping[str, Mapping[str, Fraction]]) -> Iterator[str]:
    """As the API server's LimitRanger compares: requests with `min`, limits with `max`."""
    for name, value in (rule.get("min") or {}).items():
        asked = given["requests"].get(name)
        if asked is None or asked < parse_quantity(str(value)):
            yield f"it requests {'no' if asked is None else 'too little'} {name}; the least is {value}"
    for name, value in (rule.get("max") or {}).items():
        limited = given["limits"].get(name)
        if limited is None or limited > parse_quantity(str(value)):
            yield f"it has {'no limit' if limited is None else 'too large a limit'} of {name}; the most is {value}"

"""Whether the Secrets that pods read are there, with the keys that they read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wtsctl.plan.preflight.facts import Facts, NotRead, Step
from wtsctl.plan.preflight.record import Check, Record, error, idle, ok, skipped, warning
from wtsctl.pods.made import templates

SECRETS = Check(
    "secrets",
    "secrets",
    "the Secrets that pods read are there, with their keys",
    "Each Secret that a pod of something new or changed reads, by its name; of its content only the names of its keys. "
    "Secrets that this deploy makes, that an ExternalSecret or the like among its objects makes, and what a pod says "
    "it can do without (`optional: true`) are not looked for.",
    "An error: the Secret is not there, or lacks a key: the container would not be started. A warning: a Secret to "
    "pull images with is not there, which the kubelet goes on without.",
    "Make the Secret, or let wtsctl make it (`fromEnv`, `fromFile`, `external`). Where something else makes it later, "
    "`--ignore-preflight-errors secrets`.",
    "kubernetes.io/docs/concepts/configuration/secret",
)

Name = tuple[str, str]
"""Namespace and name of a Secret."""


def wanted(steps: Sequence[Step]) -> dict[Name, dict[str, None]]:
    """The Secrets that pods of what changes read and nobody among the steps makes, each with its keys."""
    made = {name for one in steps for name in _made(one)}
    found: dict[Name, dict[str, None]] = defaultdict(dict)
    for one in steps:
        for name, keys in _read(one) if one.changes else ():
            if (one.namespace, name) not in made:
                found[one.namespace, name] |= dict.fromkeys(keys)
    return dict(found)


def _made(step: Step) -> Iterator[Name]:
    """The Secrets that come of an object: itself, or what an operator makes of a custom resource."""
    if step.kind == "Secret":
        yield step.namespace, step.name
    elif "Secret" in step.kind:
        # ExternalSecret: spec.target.name; VaultStaticSecret: spec.destination.name; SealedSecret: its own name.
        spec: Mapping[str, Any] = step.doc.get("spec") or {}
        named = [
            (spec.get(key) or {}).get("name") for key in ("target", "destination") if isinstance(spec.get(key), dict)
        ]
        yield from ((step.namespace, str(name)) for name in (*named, step.name) if name)


def _read(step: Step) -> Iterator[tuple[str, list[str]]]:
    for template in templates(step.doc):
        yield from _of_pod(template.spec)


def _of_pod(pod: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for container in (*_items(pod, "containers"), *_items(pod, "initContainers")):
        for variable in _items(container, "env"):
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            yield from _one(reference, "name", [str((reference or {}).get("key"))])
        for source in _items(container, "envFrom"):
            yield from _one(source.get("secretRef"), "name", [])
    for volume in _items(pod, "volumes"):
        secret = volume.get("secret")
        yield from _one(secret, "secretName", _keys(secret))
        for source in _items(volume.get("projected") or {}, "sources"):
            yield from _one(source.get("secret"), "name", _keys(source.get("secret")))


def _keys(secret: Any) -> list[str]:
    return [str(one.get("key")) for one in _items(secret or {}, "items")]


def _one(reference: Any, key: str, keys: list[str]) -> Iterator[tuple[str, list[str]]]:
    if isinstance(reference, Mapping) and reference.get(key) and reference.get("optional") is not True:
        yield str(reference[key]), keys


def pulled_with(steps: Sequence[Step]) -> dict[Name, None]:
    """The Secrets with which pods of what changes pull images, and nobody among the steps makes."""
    made = {name for one in steps for name in _made(one)}
    found = {
        (one.namespace, str(secret.get("name")))
        for one in steps
        if one.changes
        for template in templates(one.doc)
        for secret in _items(template.spec, "imagePullSecrets")
    }
    return dict.fromkeys(sorted(found - made))


def secrets(facts: Facts, steps: Sequence[Step]) -> Iterator[Record]:
    """Whether each Secret is there with its keys."""
    read, pull = wanted(steps), pulled_with(steps)
    well = 0
    for (namespace, name), keys in read.items():
        where, there = f"{namespace}/Secret/{name}", facts.secrets.get((namespace, name))
        if isinstance(there, NotRead):
            yield skipped(SECRETS, there.why, where)
        elif there is None:
            yield error(
                SECRETS,
                f"it is not there, and {_readers(steps, namespace, name)} would not start",
                where,
                _make(namespace, name, keys, new=facts.namespaces.get(namespace, {}) is None),
            )
        elif missing := [key for key in keys if key not in there]:
            has = f"it has {', '.join(sorted(there))}" if there else "it is empty"
            text = f"it has no key {', '.join(missing)} ({has}), and {_readers(steps, namespace, name)} would not start"
            yield error(SECRETS, text, where, "put the key there, or name the right one in models.yaml")
        else:
            well += 1
    for namespace, name in pull:
        there = facts.secrets.get((namespace, name))
        if isinstance(there, NotRead):
            yield skipped(SECRETS, there.why, f"{namespace}/Secret/{name}")
        elif there is None:
            text = "it is not there; images are pulled without it"
            yield warning(SECRETS, text, f"{namespace}/Secret/{name}", "make it, where the registry asks who pulls")
        else:
            well += 1
    if well:
        yield ok(SECRETS, f"{well} there, with {'its' if well == 1 else 'their'} keys")
    elif not read and not pull:
        yield idle(SECRETS, "nothing that changes reads a Secret that is not made by this deploy")


def _readers(steps: Sequence[Step], namespace: str, name: str) -> str:
    found = [
        one.model or one.identity
        for one in steps
        if one.changes and one.namespace == namespace and any(read == name for read, _ in _read(one))
    ]
    return ", ".join(dict.fromkeys(found))


def _make(namespace: str, name: str, keys: Mapping[str, None], *, new: bool) -> str:
    key = next(iter(keys), "KEY")
    first = "make the namespace first (`wtsctl deploy --only namespace`), then: " if new else ""
    return f"{first}kubectl -n {namespace} create secret generic {name} --from-file={key}=FILE"


def _items(holder: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    found = holder.get(key)
    return tuple(one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else ()

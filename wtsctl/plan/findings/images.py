"""Findings about container images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wtsctl.catalog.fault import Path
from wtsctl.plan.findings.objects import mapping
from wtsctl.plan.findings.pods import Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

# Images whose own user is root: vllm-project/vllm, docker/Dockerfile, has no USER.
_OF_ROOT = re.compile(r"(?:docker\.io/)?vllm/vllm-openai(?:[:@]|$)")
# Tags that projects move to whatever they built last.
_MOVING = frozenset(("latest", "main", "master", "nightly", "edge", "dev", "develop", "head"))


def _unpinned(subject: Subject) -> Iterator[Hit]:
    seen: set[tuple[Path, str]] = set()
    for pod in subject.pods:
        for container in (*pod.containers, *pod.initial):
            tag = moving_tag(container.image)
            if tag is None:
                continue
            path = _written(subject, pod, container.image)
            if (path, container.image) not in seen:
                seen.add((path, container.image))
                what = (
                    f"has the tag '{tag}', which moves" if tag else "has no tag, so that `latest` is meant, which moves"
                )
                yield Hit(path, f"the image {container.image} {what}", about=pod.about)


def moving_tag(image: str) -> str | None:
    """The tag of an image that may be another one tomorrow; empty without a tag; None for one that stays."""
    if not image or "@" in image:
        return None
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag if not tag or tag in _MOVING else None


def _written(subject: Subject, pod: Pod, image: str) -> Path:
    """Where in the catalog an image of a pod is written; the pod's entry where it is not."""
    places = _places(subject, pod)
    return next((path for path, written in places if written == image), pod.path)


def _places(subject: Subject, pod: Pod) -> Iterator[tuple[Path, str | None]]:
    defaults, stack = subject.catalog.defaults.images, subject.catalog.llama_stack
    if pod.workload is not None:
        spec = pod.workload.spec
        yield (*pod.path, "image"), spec.image
        yield (*pod.path, "download", "image"), spec.download.image if spec.download else None
        yield ("defaults", "images", spec.runtime.value), getattr(defaults, spec.runtime.value, None)
    elif stack is not None and pod.path == ("llamaStack",):
        yield ("llamaStack", "image"), stack.image
        yield ("defaults", "images", "llamaStack"), defaults.llama_stack
    elif pod.path[:1] == ("agents",):
        yield (*pod.path, "image"), subject.catalog.agents[int(pod.path[1])].image


def _root(subject: Subject) -> Iterator[Hit]:
    if subject.catalog.defaults.run_as_user is not None:
        return
    seen: set[Path] = set()
    for pod in subject.pods:
        for container in (*pod.containers, *pod.initial):
            contexts = (mapping(container.spec, "securityContext"), mapping(pod.spec, "securityContext"))
            if not _OF_ROOT.match(container.image) or not any(one.get("runAsNonRoot") is True for one in contexts):
                continue
            if any(one.get("runAsUser") is not None for one in contexts):
                continue
            path = _written(subject, pod, container.image)
            if path not in seen:
                seen.add(path)
                yield Hit(path, f"the user of {container.image} is root, and its pods may not run as root")


RULES = (
    Rule(
        "WTS001",
        "image-not-pinned",
        Severity.WARNING,
        "Image without a fixed version",
        "A pod that is started again, on another node or after a crash, may run another version than the one that was"
        " tried: its options, its memory and its answers differ, and nobody changed anything.",
        "Name a version (`vllm/vllm-openai:v0.33.0`), or better the digest (`...@sha256:...`).",
        "kubernetes.io/docs/concepts/containers/images, Image pull policy",
        _unpinned,
    ),
    Rule(
        "WTS003",
        "image-of-root-without-user",
        Severity.INFO,
        "Image whose user is root, and no other user is named",
        "OpenShift runs a pod as a user of its namespace. Elsewhere the kubelet refuses to start this one: its "
        "manifests say `runAsNonRoot`, and it stays in CreateContainerConfigError with `container has runAsNonRoot and "
        "image will run as root`.",
        "Outside OpenShift set `defaults.runAsUser: 2000`. On OpenShift leave it unset; the finding can be accepted in "
        "place.",
        "vllm-project/vllm, docker/Dockerfile",
        _root,
    ),
)

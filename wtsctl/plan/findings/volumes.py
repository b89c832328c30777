"""Findings about weights: the volume that keeps them, and the right to download them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from wtsctl.catalog.model import Runtime
from wtsctl.catalog.quantity import parse_quantity
from wtsctl.plan.findings.objects import mapping
from wtsctl.plan.findings.pods import Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.scaling import most_pods
from wtsctl.plan.findings.start import surge_pods
from wtsctl.plan.findings.subject import Subject
from wtsctl.plan.gpus import GIB
from wtsctl.plan.serving import Unknown

# Repositories on Hugging Face that only accounts which have accepted their licence may read.
_GATED = re.compile(r"(?i)(?:hf://)?(?:meta-llama/|google/(?:codegemma|gemma|paligemma|shieldgemma)|mistralai/.*-2411)")
_ONE_NODE = "ReadWriteOnce"
_ONE_POD = "ReadWriteOncePod"


def _claims(subject: Subject) -> dict[tuple[str, str], tuple[str, ...]]:
    """Access modes of each rendered claim, by namespace and name."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for made in subject.kinds.get("PersistentVolumeClaim", ()):
        metadata, modes = mapping(made.doc, "metadata"), mapping(made.doc, "spec").get("accessModes")
        key = (str(metadata.get("namespace")), str(metadata.get("name")))
        found[key] = tuple(str(mode) for mode in modes) if isinstance(modes, list) else ()
    return found


def _mounted(subject: Subject) -> dict[tuple[str, str], list[Pod]]:
    found: defaultdict[tuple[str, str], list[Pod]] = defaultdict(list)
    for pod in subject.pods:
        for claim in pod.claims:
            found[pod.namespace, claim].append(pod)
    return found


def _several_writers(subject: Subject) -> Iterator[Hit]:
    claims = _claims(subject)
    for (namespace, name), pods in _mounted(subject).items():
        modes = claims.get((namespace, name), ())
        mode = _ONE_POD if _ONE_POD in modes else _ONE_NODE if _ONE_NODE in modes else ""
        if not mode or "ReadWriteMany" in modes or "ReadOnlyMany" in modes:
            continue
        count = sum(most_pods(pod) for pod in pods)
        if count > 1:
            where = "on one node" if mode == _ONE_NODE else "in one pod"
            owners = ", ".join(sorted({pod.about.rpartition("/")[2] for pod in pods})[:5])
            text = f"{count} pods mount the claim {name} ({owners}), which can be mounted {where} at a time"
            path = (
                ("cache", "accessMode")
                if subject.catalog.cache and name == subject.catalog.cache.claim
                else pods[0].path
            )
            yield Hit(path, text, about=f"{namespace}/PersistentVolumeClaim/{name}")


def _overlapping(subject: Subject) -> Iterator[Hit]:
    claims = _claims(subject)
    for (namespace, name), pods in _mounted(subject).items():
        modes = claims.get((namespace, name), ())
        if not modes or not {*modes} <= {_ONE_NODE, _ONE_POD}:
            continue
        for pod in pods:
            if pod.kind == "Deployment" and surge_pods(pod):
                text = f"an update starts the new pod while the old one holds the claim {name}"
                yield Hit(pod.path, text, "use `strategy: {type: Recreate}`", pod.about)


def _too_small(subject: Subject) -> Iterator[Hit]:
    cache = subject.catalog.cache
    if cache is None:
        return
    # Models that download the same repository share its files.
    weights: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for _, workload in subject.models:
        serving = subject.serving(workload)
        if workload.spec.runtime is Runtime.VLLM and not isinstance(serving, Unknown):
            weights[workload.namespace][workload.spec.model] = serving.file_bytes
    for namespace, sizes in weights.items():
        needed = sum(sizes.values())
        if needed > parse_quantity(cache.size):
            text = f"{needed / GIB:.0f} GiB of weights are downloaded in {namespace}, and the volume has {cache.size}"
            yield Hit(("cache", "size"), text)


def _no_cache(subject: Subject) -> Iterator[Hit]:
    if subject.catalog.cache is None:
        for path, workload in subject.models:
            if workload.spec.runtime is Runtime.VLLM and not workload.spec.model.startswith("/"):
                yield Hit(path, "every start of a pod downloads the weights again")


def _no_token(subject: Subject) -> Iterator[Hit]:
    if subject.catalog.secrets.huggingface is not None:
        return
    for path, workload in subject.models:
        spec = workload.spec
        if spec.runtime is not Runtime.LLAMACPP and _GATED.match(spec.model):
            yield Hit((*path, "model"), f"{spec.model} is given only to accounts that have accepted its licence")


RULES = (
    Rule(
        "WTS301",
        "volume-with-several-writers",
        Severity.WARNING,
        "Volume for one node is mounted by several pods",
        "A pod on another node stays in ContainerCreating with `Multi-Attach error`; with ReadWriteOncePod it stays "
        "Pending, on the same node too.",
        "Use a storage class with ReadWriteMany, or keep all the pods on one node and accept the finding in place.",
        "vllm-project/production-stack issue 107",
        _several_writers,
    ),
    Rule(
        "WTS302",
        "volume-blocks-update",
        Severity.WARNING,
        "Update waits for a volume that the old pod holds",
        "The new pod cannot mount the volume before the old one is gone, and the old one goes when the new one is "
        "ready. On another node that never ends.",
        "Use `strategy: {type: Recreate}` with a ReadWriteOnce volume, as our templates do.",
        "vllm-project/production-stack issue 107",
        _overlapping,
    ),
    Rule(
        "WTS303",
        "cache-smaller-than-weights",
        Severity.WARNING,
        "Weights do not fit the cache volume",
        "The download ends with `No space left on device`, and each restart begins it again.",
        "Raise `cache.size`.",
        "",
        _too_small,
    ),
    Rule(
        "WTS304",
        "weights-not-kept",
        Severity.INFO,
        "Weights are downloaded at every start",
        "A restart takes as long as the first start, needs the network, and counts against the rate limits of the hub.",
        "Set `cache`, or put the weights into the image.",
        "",
        _no_cache,
    ),
    Rule(
        "WTS305",
        "gated-model-without-token",
        Severity.ERROR,
        "Gated model without a token",
        "The download ends with 401 and `Access to model ... is restricted`.",
        "Set `secrets.huggingface`; the account behind the token has to have accepted the licence. Where the model is"
        " read from a mirror, accept the finding in place.",
        "kserve/kserve issues 4400, 6260",
        _no_token,
    ),
)

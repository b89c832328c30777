"""The Job that downloads a model's weights into the cache, and what its server waits for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.workload import Workload
from wtsctl.render.pod import environment, labels, resources

_MARKERS = "/cache/huggingface/wtsctl"
_MAX_NAME = 63
_DIGITS = 10
_OFFLINE = "HF_HUB_OFFLINE"


def download(catalog: Catalog, workload: Workload, template: str) -> dict[str, Any] | None:
    """Variables of a model's download, or None where its server downloads by itself.

    A Job can never be changed, so its name holds a hash of all that makes it: a change makes another one, which
    ends soon where the weights are there. The marker stands for the weights alone, so that nobody waits anew for
    another image or time limit.

    Args:
        catalog: the catalog.
        workload: the model.
        template: text of the Job's template.
    """
    spec = workload.spec
    if spec.download is None or catalog.cache is None:
        return None
    adapters = [adapter.source for adapter in spec.lora.adapters] if spec.lora else []
    repositories = [spec.model, *(source for source in adapters if not source.startswith("/"))]
    ours: dict[str, str | SecretReference] = {"HOME": "/tmp", "USER": "download", "HF_HOME": "/cache/huggingface"}  # noqa: S108 - a volume of the pod
    if catalog.secrets.huggingface:
        ours["HF_TOKEN"] = catalog.secrets.huggingface
    job = {
        "image": spec.download.image or workload.image,
        "repositories": repositories,
        # The model's own variables too: a proxy or a mirror of the hub is needed here.
        "environment": environment(ours, {name: value for name, value in spec.env.items() if name != _OFFLINE}),
        "resources": resources(spec.download.resources, "", 0),
        # Where the model itself may run its files can be wanted too; a GPU and its taint are not the download's.
        "tolerations": [toleration.model_dump(exclude_none=True) for toleration in spec.tolerations],
        "nodeSelector": spec.node_selector,
        "seconds": int(parse_duration(spec.download.timeout)),
        "weights": _hash(repositories),
        "marker": f"{_MARKERS}/{_hash(repositories)}",
    }
    around = [catalog.cache.claim, list(catalog.platform.image_pull_secrets), catalog.defaults.run_as_user]
    patches = [patch.model_dump(mode="json") for patch in spec.patches if patch.kind == "Job"]
    made_of = [job, around, patches, labels(catalog, spec.runtime.value, workload.object_name, "model"), template]
    return job | {"name": _stem(workload) + _hash(made_of)}


def names(workload: Workload) -> str:
    """A regular expression for the names of a model's downloads, whatever they are made of."""
    return f"{_stem(workload)}[0-9a-f]{{{_DIGITS}}}"


def _stem(workload: Workload) -> str:
    suffix = "-download-"
    return workload.object_name[: _MAX_NAME - len(suffix) - _DIGITS].rstrip("-") + suffix


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGITS]

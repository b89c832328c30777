"""The Job that downloads a model's weights into the cache, and what its server waits for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.workload import Workload
from wtsctl.render.pod import resources

_MARKERS = "/cache/huggingface/wtsctl"
_MAX_NAME = 63


def download(catalog: Catalog, workload: Workload) -> dict[str, Any] | None:
    """Variables of a model's download, or None where its server downloads by itself.

    A Job can never be changed, so its name holds a hash of what it does: a change makes another one. The marker
    names what has been downloaded and nothing else, so that a new image or time limit downloads nothing anew.
    """
    spec = workload.spec
    if spec.download is None or catalog.cache is None:
        return None
    adapters = [adapter.source for adapter in spec.lora.adapters] if spec.lora else []
    repositories = [spec.model, *(source for source in adapters if not source.startswith("/"))]
    token = catalog.secrets.huggingface
    image = spec.download.image or workload.image
    limits = resources(spec.download.resources, "", 0)
    seconds = int(parse_duration(spec.download.timeout))
    # Whatever the template makes of these, the same values give the same Job.
    identity = [repositories, image, limits, seconds, catalog.cache.claim, token and [token.name, token.key]]
    identity += [list(catalog.platform.image_pull_secrets), catalog.defaults.run_as_user]
    suffix = f"-download-{_hash(identity)}"
    return {
        "name": workload.object_name[: _MAX_NAME - len(suffix)].rstrip("-") + suffix,
        "image": image,
        "repositories": repositories,
        "resources": limits,
        "seconds": seconds,
        "marker": f"{_MARKERS}/{_hash(repositories)}",
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:10]

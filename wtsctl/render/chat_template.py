"""A model's chat template: where its server finds it, and the ConfigMap that is made from its text."""

from __future__ import annotations

import hashlib
from typing import Any

from wtsctl.catalog.model import ChatTemplate
from wtsctl.catalog.workload import Workload

_FOLDER = "/etc/chat-template"


def config_map_name(workload: Workload) -> str:
    """The ConfigMap that is made from `chatTemplate.text`."""
    return f"{workload.object_name}-chat-template"


def path(template: ChatTemplate | None) -> str | None:
    """Where the server finds the template in its container; None: it takes the model's own."""
    if template is None:
        return None
    return template.path or f"{_FOLDER}/{template.key}"


def mount(workload: Workload) -> dict[str, Any] | None:
    """The ConfigMap that is mounted, or None; `sha256` of a text that is ours, so that a change restarts the pods."""
    template = workload.spec.chat_template
    if template is None or template.path is not None:
        return None
    return {
        "configMap": template.config_map or config_map_name(workload),
        "key": template.key,
        "folder": _FOLDER,
        "sha256": hashlib.sha256(template.text.encode()).hexdigest() if template.text is not None else None,
    }

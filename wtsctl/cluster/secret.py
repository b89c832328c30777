"""Reading one value of a Secret; it is returned and put nowhere else."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import SECRET

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client


def secret_value(client: Client, namespace: str, name: str, key: str) -> str | None:
    """The text under `key` of a Secret, or None where it has no such key or no text there.

    Raises:
        ApiRefused: `status` 404 where there is no such Secret, 403 where it may not be read.
    """
    data = objects.get(client, SECRET, namespace, name).get("data") or {}
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        return None

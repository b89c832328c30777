"""Who runs this: the person and the machine, the process, and whom the cluster takes us for."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client

_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def local_user() -> str:
    """`USER@HOST`; where the user has no name, as in some containers, its number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@lru_cache
def cluster_user(client: Client) -> str:
    """Whom the cluster takes us for; empty where it does not say (before Kubernetes 1.28).

    Asked once: the lock, the record and the checks all name it.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        review = client.exchange("POST", _REVIEW, body=body, where="SelfSubjectReview", repeatable=True)[1]
    except ApiRefused:
        return ""
    return str(((review.get("status") or {}).get("userInfo") or {}).get("username", ""))


def process() -> str:
    """This process among those of every machine and container; empty where the system does not say.

    Of the form `BOOT/NAMESPACE/PID`: which start of which machine, which PID namespace of it, which process of that.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/{os.getpid()}"
    except OSError:
        return ""


def has_ended(other: str) -> bool:
    """Whether a process, named as `process` does, has certainly ended; no, where that cannot be seen from here."""
    here = process()
    place, _, pid = other.rpartition("/")
    if not here or not place or place != here.rpartition("/")[0] or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds.

    Attributes:
        who: for people: `ada@laptop pid 4711 as ci`.
        run: this run among all.
        process: see the function of this name.
    """

    who: str
    run: str
    process: str

    @classmethod
    def me(cls, client: Client) -> Self:
        """This process, with the name that the cluster has for it.

        Raises:
            ClusterError: the cluster cannot be spoken to.
        """
        here, known = process(), cluster_user(client)
        pid = here.rpartition("/")[2]
        who = f"{local_user()}{f' pid {pid}' if pid else ''}{f' as {known}' if known else ''}"
        return cls(who, uuid4().hex, here)

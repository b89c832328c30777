"""Where a sandbox keeps what: its state, and the cache that all sandboxes of a user share.

```
$XDG_STATE_HOME/wtsctl/sandbox/NAME/    mode 0700; kept by `down`, removed by `down --purge`
    kubeconfig, pki/, config/, etcd/, logs/, plan.json, status.json, network.json
    var-lib/, var-log/                   what the node sees as /var/lib and /var/log
$XDG_CACHE_HOME/wtsctl/sandbox/
    bin/MODULE-KEY/                      compiled programs and their stamp
    go/                                  Go's own caches, while something is being compiled
    images/                              image archives
```
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from wtsctl.errors import UsageError

DEFAULT_NAME = "wtsctl"

# What the kernel, Kubernetes and a shell all take as part of a name.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one sandbox.

    Attributes:
        name: the sandbox's name, unique for a user.
        state: its own folder.
        cache: what sandboxes share.
    """

    name: str
    state: Path
    cache: Path

    @classmethod
    def of(cls, name: str = DEFAULT_NAME) -> Layout:
        """The layout of a sandbox of this user, by the XDG variables.

        Raises:
            UsageError: the name cannot be part of a host name.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a sandbox",
                hint="use up to 32 lower-case letters, digits and hyphens",
            )
        return cls(
            name=name,
            state=_xdg("XDG_STATE_HOME", ".local/state") / "wtsctl" / "sandbox" / name,
            cache=_xdg("XDG_CACHE_HOME", ".cache") / "wtsctl" / "sandbox",
        )

    @property
    def id(self) -> str:
        """Eight characters that no other sandbox on this machine has, whoever its user."""
        return hashlib.sha256(str(self.state).encode()).hexdigest()[:8]

    @property
    def lock(self) -> Path:
        """Held by `up` and `down` while they work; beside the state, so that it outlives its removal."""
        return self.state.with_name(f".{self.name}.lock")

    @property
    def init_lock(self) -> Path:
        """Held by the sandbox's init as long as it lives."""
        return self.state / "init.lock"

    @property
    def plan(self) -> Path:
        """What init starts."""
        return self.state / "plan.json"

    @property
    def report(self) -> Path:
        """What init says about the components."""
        return self.state / "status.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.state / "logs"


def _xdg(variable: str, default: str) -> Path:
    """An XDG base folder; the specification has relative values ignored."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default

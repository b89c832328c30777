"""Every way wtsctl can fail, and the one table of its exit codes.

WtsctlError
├── UsageError              2  options that contradict each other or cannot be read
├── CatalogError            3  models.yaml is missing, unreadable or wrong; carries every problem at once
├── TemplateError           3  a template does not render to valid manifests
├── ClusterError            4  the cluster cannot be spoken to
│   ├── ClusterUnreachable     no answer, bad address, TLS failure, no kubeconfig
│   ├── ClusterUnauthorized    the credentials are missing, wrong or expired
│   ├── ClusterRefused         the API server said no: forbidden, invalid, conflict
│   └── ClusterLocked          another deploy or delete of the same catalog is at work
├── SandboxError            4  the sandbox cannot be built, started or reached
├── NotReadyError           5  something did not become or is not healthy in time, or would not fit
└── SelectionError          9  the names given match nothing

A model that failed, a pod that crashed or a prompt that was answered wrongly is data in a command's
result, not an exception: an exception means that the command cannot go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What the process tells its shell; the same for every `-o`."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CATALOG = 3
    CLUSTER = 4
    NOT_READY = 5
    ASSERTION = 6
    BUDGET = 7
    DIFFERENCES = 8
    NO_MATCH = 9
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a stable code to key on, what, where, and what to do.

    `where` is `FILE:LINE:COLUMN`, an object such as `llama-serve/Deployment/vllm-watt-8b`, or empty.
    """

    code: str
    message: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, str]:
        """The problem as it stands in the JSON envelope's `errors`."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class WtsctlError(Exception):
    """Something that ends the command, with the exit code it ends with.

    Args:
        message: what is wrong, one sentence.
        where: the file position or object it is about.
        hint: what the user can do.
    """

    exit_code = ExitCode.INTERNAL
    code = "internal"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = (Problem(self.code, message, where, hint),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Make one error out of at least one problem."""
        error = cls(problems[0].message)
        error.problems = tuple(problems)
        return error

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class UsageError(WtsctlError):
    """The command line cannot be carried out as written."""

    exit_code = ExitCode.USAGE
    code = "usage"


class CatalogError(WtsctlError):
    """models.yaml is wrong; `problems` holds all that is wrong with it, in file order."""

    exit_code = ExitCode.CATALOG
    code = "catalog"


class TemplateError(WtsctlError):
    """A template failed to render, or rendered something that is no Kubernetes object."""

    exit_code = ExitCode.CATALOG
    code = "template"


class ClusterError(WtsctlError):
    """The cluster cannot be spoken to."""

    exit_code = ExitCode.CLUSTER
    code = "cluster"


class ClusterUnreachable(ClusterError):  # noqa: N818 - reads as the state it reports
    """No kubeconfig, no answer, or no trusted TLS connection."""

    code = "cluster.unreachable"


class ClusterUnauthorized(ClusterError):  # noqa: N818 - HTTP's own word
    """The API server does not know these credentials."""

    code = "cluster.unauthorized"


class ClusterRefused(ClusterError):  # noqa: N818 - reads as the state it reports
    """The API server knows us and said no."""

    code = "cluster.refused"


class ClusterLocked(ClusterError):  # noqa: N818 - reads as the state it reports
    """Another deploy or delete of the same catalog is at work."""

    code = "cluster.locked"


class SandboxError(WtsctlError):
    """The sandbox cannot be built, started or reached: there is no cluster to speak to."""

    exit_code = ExitCode.CLUSTER
    code = "sandbox"


class NotReadyError(WtsctlError):
    """Something is not healthy, or did not become so in time."""

    exit_code = ExitCode.NOT_READY
    code = "not-ready"


class SelectionError(WtsctlError):
    """The names or patterns given select nothing; a typo in CI must not pass."""

    exit_code = ExitCode.NO_MATCH
    code = "selection"

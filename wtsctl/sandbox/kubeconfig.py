"""Kubeconfigs of the sandbox, and the one place where a user's own is changed: when asked to merge."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

from wtsctl.errors import SandboxError


def write(path: Path, *, name: str, server: str, pki: Path, user: str) -> None:
    """Write a kubeconfig with mode 0600, whole or not at all.

    Args:
        path: the file.
        name: of its cluster, user and context.
        server: the API server's URL.
        pki: the folder with `ca.crt` and the user's certificate and key.
        user: the certificate's name.
    """
    text = "\n".join(
        (
            "apiVersion: v1",
            "kind: Config",
            f"current-context: {name}",
            "clusters:",
            f"- name: {name}",
            "  cluster:",
            f"    server: {server}",
            f"    certificate-authority-data: {_base64(pki / 'ca.crt')}",
            "users:",
            f"- name: {name}",
            "  user:",
            f"    client-certificate-data: {_base64(pki / f'{user}.crt')}",
            f"    client-key-data: {_base64(pki / f'{user}.key')}",
            "contexts:",
            f"- name: {name}",
            "  context:",
            f"    cluster: {name}",
            f"    user: {name}",
            "",
        )
    )
    _replace(path, text, 0o600)


def users_own() -> Path:
    """The kubeconfig that kubectl would change: the first in $KUBECONFIG, or ~/.kube/config."""
    first = next((part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part), None)
    return Path(first) if first else Path.home() / ".kube" / "config"


def merge(source: Path, target: Path) -> None:
    """Put the cluster, user and context of `source` into `target` and make its context the current one.

    Everything else in `target` stays as it is, save for comments.

    Raises:
        SandboxError: `target` is no kubeconfig; it is left alone.
    """
    import yaml

    ours = yaml.safe_load(source.read_text())
    theirs = _read(target)
    for kind in ("clusters", "users", "contexts"):
        name = ours[kind][0]["name"]
        kept = [entry for entry in theirs.get(kind) or [] if entry.get("name") != name]
        theirs[kind] = [*kept, *ours[kind]]
    theirs["current-context"] = ours["current-context"]
    _save(target, theirs)


def unmerge(name: str, target: Path) -> bool:
    """Take the entries called `name` out of `target` again; return whether there were any."""
    if not target.exists():
        return False
    theirs = _read(target)
    found = False
    for kind in ("clusters", "users", "contexts"):
        kept = [entry for entry in theirs.get(kind) or [] if entry.get("name") != name]
        found = found or len(kept) != len(theirs.get(kind) or [])
        theirs[kind] = kept
    if found:
        if theirs.get("current-context") == name:
            theirs["current-context"] = ""
        _save(target, theirs)
    return found


def _read(path: Path) -> dict[str, Any]:
    import yaml

    if not path.exists():
        return {"apiVersion": "v1", "kind": "Config"}
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SandboxError("the kubeconfig to merge into is not YAML", where=where, hint="mend or move it") from error
    if content is None:
        return {"apiVersion": "v1", "kind": "Config"}
    if not isinstance(content, dict) or content.get("kind", "Config") != "Config":
        raise SandboxError("the file to merge into is no kubeconfig", where=str(path), hint="set KUBECONFIG to another")
    return content


def _save(path: Path, content: dict[str, Any]) -> None:
    import yaml

    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    # A link stays a link; what it points to is replaced.
    real = path.resolve()
    real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(real, yaml.safe_dump(content, sort_keys=False), mode)


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file beside its place and move it there; it never has a wider mode than `mode`."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
            os.fchmod(handle.fileno(), mode)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

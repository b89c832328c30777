"""Manifests as files: a stream, a folder with a file per object, or the kustomize tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render import extra
from wtsctl.render.manifest import Manifest
from wtsctl.render.yamltext import dump

ROOT = "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
# First line of every file, by which a later run of the same kind knows the files that it may replace.
OBJECT_MARK = "# Rendered by wtsctl render --output-dir; changes to this file are lost the next time.\n"
TREE_MARK = "# Rendered by wtsctl render --kustomize; changes to this file are lost the next time.\n"
# Runtimes whose Deployment and Service share one file, which is named after them.
_ONE_FILE = frozenset(("vllm", "llamacpp"))
_COMPONENT = "# A component for your own kustomization, whose Deployments it patches; nothing to apply by itself.\n"
_NEEDS_SHARED = "# Needs the namespaces and shared objects of {shared}, and the Secrets that the manifests name.\n"


def stream(manifests: Iterable[Manifest]) -> str:
    """All manifests as one multi-document text, each with the template it came from."""
    return "".join(
        f"---\n# Source: {_source(manifest)}{f' ({manifest.model})' if manifest.model else ''}\n{dump([manifest.doc])}"
        for manifest in manifests
    )


def object_files(manifests: Iterable[Manifest]) -> dict[str, str]:
    """One file per object, by its path: `NAMESPACE/KIND-NAME.yaml`, or `cluster/…` without a namespace."""
    files: dict[str, str] = {}
    for manifest in manifests:
        folder = manifest.namespace or "cluster"
        path = f"{folder}/{manifest.kind.lower()}-{manifest.name}.yaml"
        if path in files:
            # The same kind of another API group.
            group = manifest.api_version.rpartition("/")[0]
            path = f"{folder}/{manifest.kind.lower()}.{group}-{manifest.name}.yaml"
        files[path] = OBJECT_MARK + dump([manifest.doc])
    return files


def kustomize_files(manifests: Sequence[Manifest]) -> dict[str, str]:
    """The kustomize tree by path: `kubernetes/`, in it a folder a model, Llama Stack's, and what they share.

    Each folder builds by itself, and `kubernetes/` builds everything. A model's folder has only what is the
    model's own: were the namespace in it, `kubectl delete -k` of one model would delete them all.

    Parts of somebody else's objects are components beside that: a part alone is no object that could be applied.
    """
    contents: dict[str, dict[str, list[Manifest]]] = {}
    components: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        if manifest.partial:
            components.setdefault(manifest.path, []).append(manifest)
            continue
        files = contents.setdefault(manifest.path, {})
        files.setdefault(_file_name(manifest), []).append(manifest)
    tree = {f"{ROOT}/{KUSTOMIZATION}": TREE_MARK + _kustomization(contents)}
    for folder, files in contents.items():
        up = "../" * (folder.count("/") + 1)
        needs = "" if folder == SHARED_PATH else _NEEDS_SHARED.format(shared=up + SHARED_PATH)
        tree[f"{ROOT}/{folder}/{KUSTOMIZATION}"] = TREE_MARK + needs + _kustomization(files)
        for name, held in files.items():
            tree[f"{ROOT}/{folder}/{name}"] = TREE_MARK + dump(manifest.doc for manifest in held)
    for folder, held in components.items():
        tree[f"{ROOT}/{folder}/{KUSTOMIZATION}"] = TREE_MARK + _COMPONENT + _component(held)
        for manifest in held:
            tree[f"{ROOT}/{folder}/{_patch(manifest)}"] = TREE_MARK + dump([manifest.doc])
    return tree


def _source(manifest: Manifest) -> str:
    return "extra of models.yaml" if manifest.template == extra.SOURCE else f"templates/{manifest.template}"


def _file_name(manifest: Manifest) -> str:
    if manifest.template == extra.SOURCE:
        return f"{manifest.kind.lower()}.yaml"
    folder, _, name = manifest.template.partition("/")
    return f"{folder}.yaml" if folder in _ONE_FILE else name.removesuffix(".j2")


def _kustomization(resources: Iterable[str]) -> str:
    return dump(
        [{"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(resources)}]
    )


def _patch(part: Manifest) -> str:
    return f"{part.name}-{part.template.rpartition('/')[2].removesuffix('.j2')}"


def _component(parts: Iterable[Manifest]) -> str:
    """Patches by kind and name alone: an overlay may have set the namespace of what they are laid over already."""
    patches = [{"path": _patch(part), "target": {"kind": part.kind, "name": part.name}} for part in parts]
    return dump([{"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "patches": patches}])

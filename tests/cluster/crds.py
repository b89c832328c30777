"""The real custom resource definitions of `crds.toml`, downloaded once and applied to an API server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import Discovery, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.errors import SandboxError
from wtsctl.sandbox import toolchain
from wtsctl.sandbox.lock import locked

PINS = Path(__file__).with_name("crds.toml")
BY_HAND = Path(__file__).with_name("llamastackdistribution.yaml")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
# Of which content a definition in the cluster is, so that a second process does not apply it again.
_DIGEST = "wtsctl.test/digest"
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module, and the files of it that hold definitions; `sum` is its h1 hash."""

    path: str
    version: str
    sum: str
    files: tuple[str, ...]

    @property
    def query(self) -> str:
        """As `go mod download` takes it."""
        return f"{self.path}@{self.version}"


def definitions(cache: Path, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every definition, from `cache` or else through the Go module proxy.

    Raises:
        SandboxError: there is no Go, a module cannot be downloaded, or it is not the one that was pinned.
    """
    modules = [Module(one["path"], one["version"], one["sum"], tuple(one["files"])) for one in _pins()]
    key = hashlib.sha256(b"".join(file.read_bytes() for file in (PINS, BY_HAND, Path(__file__)))).hexdigest()[:16]
    whole = cache / "crds" / f"{key}.json"
    with locked(cache / "crds.lock", "another process is downloading the custom resource definitions", progress):
        if not whole.exists():
            progress("download the custom resource definitions")
            whole.parent.mkdir(exist_ok=True)
            for older in whole.parent.iterdir():
                older.unlink()
            with tempfile.TemporaryDirectory(dir=cache, prefix="crds-") as folder:
                found = _downloaded(modules, Path(folder))
                part = Path(folder) / whole.name
                part.write_text(json.dumps(found))
                part.replace(whole)
    return list(json.loads(whole.read_text()))


def install(client: Client, wanted: list[dict[str, Any]]) -> None:
    """Apply definitions that are not there yet, and wait until the API server serves every kind."""
    there = {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in _metadata(client)}
    missing = []
    for document in wanted:
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        if there.get(document["metadata"]["name"], {}).get(_DIGEST) != digest:
            annotations = {**document["metadata"].get("annotations", {}), _DIGEST: digest}
            missing.append({**document, "metadata": {**document["metadata"], "annotations": annotations}})
    # More patient than others: on a busy machine the largest of them take the API server half a minute.
    patient = Client(client.connection, read_seconds=_SECONDS)
    each(lambda document: _apply(patient, document), missing, at_once=2)
    deadline = time.monotonic() + _SECONDS
    for document in wanted:
        for version in document["spec"]["versions"]:
            if version["served"]:
                api_version = f"{document['spec']['group']}/{version['name']}"
                while not _served(client, api_version, document["spec"]["names"]["kind"]):
                    if time.monotonic() > deadline:
                        pytest.fail(f"{document['metadata']['name']} was applied, and {api_version} is not served")
                    time.sleep(0.1)


def _pins() -> list[dict[str, Any]]:
    return list(tomllib.loads(PINS.read_text())["modules"])


def _downloaded(modules: list[Module], folder: Path) -> list[dict[str, Any]]:
    go = toolchain.find()
    environment = dict(os.environ)
    # Of the modules' half a gigabyte some files are kept; a module cache of the user's own stays as it is.
    environment.setdefault("GOMODCACHE", str(folder / "mod"))
    environment.update(GOFLAGS="-modcacherw", GOWORK="off", GO111MODULE="on")
    if go.root is not None:
        environment["GOROOT"] = str(go.root)
    command = [str(go.command), "mod", "download", "-json", *(module.query for module in modules)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    answers = {answer["Path"]: answer for answer in _objects(done.stdout)}
    found: list[dict[str, Any]] = []
    for module in modules:
        answer = answers.get(module.path, {"Error": done.stderr.strip() or "no answer"})
        if "Error" in answer:
            raise SandboxError(f"go mod download {module.query}: {answer['Error']}")
        if answer["Sum"] != module.sum:
            raise SandboxError(f"{module.query} has the hash {answer['Sum']}, and {PINS.name} pins {module.sum}")
        found += [_read(Path(answer["Dir"], file)) for file in module.files]
    pod = _pod_schema(found)
    return [*found, _filled(yaml.safe_load(BY_HAND.read_text()), pod)]


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand one after the other in a text."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        answer, at = decoder.raw_decode(text, at)
        found.append(answer)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def _read(file: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    (document,) = (one for one in yaml.load_all(file.read_text(), loader) if one)
    assert document["kind"] == CRD.kind
    assert "conversion" not in document["spec"], f"{file} needs a webhook that nobody runs here"
    for version in document["spec"]["versions"]:
        assert "properties" in version["schema"]["openAPIV3Schema"], f"{file} has no schema to check against"
    # What the API server fills in, and refuses to be given.
    document.pop("status", None)
    return dict(document)


def _pod_schema(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of a pod's spec, as it stands in LeaderWorkerSet's definition."""
    (document,) = (one for one in found if one["spec"]["names"]["kind"] == "LeaderWorkerSet")
    at = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for key in ("spec", "leaderWorkerTemplate", "workerTemplate", "spec"):
        at = at["properties"][key]
    return dict(at)


def _filled(part: Any, pod: Mapping[str, Any]) -> Any:
    """A hand-written definition with every `x-copy` replaced by that part of a pod's schema."""
    if isinstance(part, list):
        return [_filled(item, pod) for item in part]
    if not isinstance(part, dict):
        return part
    if "x-copy" not in part:
        return {key: _filled(value, pod) for key, value in part.items()}
    at: Any = pod
    for key in part["x-copy"].split("."):
        at = at.get("items", at)["properties"][key]
    return at


def _metadata(client: Client) -> list[dict[str, Any]]:
    """The definitions in the cluster without their schemas, which are megabytes."""
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    return list(client.request("GET", CRD.path(), accept=accept)["items"] or ())


def _apply(client: Client, document: dict[str, Any]) -> None:
    client.exchange(
        "PATCH",
        CRD.path(name=document["metadata"]["name"]),
        query={"fieldManager": objects.FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"},
        body=document,
        content_type="application/apply-patch+yaml",
    )


def _served(client: Client, api_version: str, kind: str) -> bool:
    try:
        Discovery(client).kind(api_version, kind)
    except ApiRefused:
        return False
    return True

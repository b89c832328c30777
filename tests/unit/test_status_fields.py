"""The page of JSON fields names every field that the program writes, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from wtsctl.cluster.apply import Applied, ApplyResult, Outcome
from wtsctl.cluster.discovery import DEPLOYMENT
from wtsctl.cluster.observe import Evidence
from wtsctl.cluster.remove import Fate, Target
from wtsctl.health.assess import assess
from wtsctl.health.index import Index
from wtsctl.health.model import Answer, Subject
from wtsctl.health.state import Phase
from wtsctl.health.wait import Verdict, Waited
from wtsctl.plan.changes import Action, Change, Field
from wtsctl.plan.impact import Effect, Impact
from wtsctl.plan.preflight.record import ok
from wtsctl.plan.preflight.server import VERSION
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest
from wtsctl.report.changes import ChangeReport
from wtsctl.report.delete import delete_data
from wtsctl.report.deploy import DeployReport
from wtsctl.report.preflight import PreflightReport
from wtsctl.report.status import status_data

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "status-fields.md").read_text()


def keys(value: Any) -> set[str]:
    """All keys in a JSON document, at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys(inner)}
    return set()


def documents() -> list[dict[str, Any]]:
    """What deploy, status and delete write about one model."""
    objects = [one for one in yaml.safe_load_all((Path(__file__).parent / "objects" / "ready.yaml").read_text()) if one]
    subject = Subject("ready", "vllm", "dep-fix", "ready", "ready", 1, "granite-8b")
    health = assess(subject, Index.of(objects), Answer(("granite-8b",)))
    evidence = {"ready": Evidence(("Failed: x",), ("a line",))}
    endpoints = {"ready": "http://ready.dep-fix.svc.cluster.local:8000/v1"}
    doc = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ready", "namespace": "dep-fix"}}
    manifest = Manifest(doc, Stage.MODELS, "vllm/service.yaml.j2", "ready", "llm/ready")
    applied = ApplyResult((Applied(manifest, Outcome.CREATED),))
    fields = (Field("spec.type", None, "ClusterIP"),)
    change = Change(manifest.identity, "models", "ready", Action.CONFIGURE, fields)
    plan = ChangeReport([change], [Impact("ready", Effect.RESTARTS, 1, 4, 90.0, True, False, "restarts ready")])
    waited = {"ready": Waited(health, Verdict.READY, 1.0)}
    return [
        status_data([health], endpoints, evidence),
        DeployReport(applied, waited, endpoints, evidence, ["w"], dry_run=False, plan=plan).data(),
        PreflightReport([ok(VERSION, "v1.36.3")]).data(),
        delete_data([Target(DEPLOYMENT, "llm", "ready", "uid", Fate.DELETED)], ["left"]),
    ]


def test_every_field_is_described_and_no_other() -> None:
    """The first column of the tables of fields is exactly what the documents hold."""
    tables = re.findall(r"^\| field \|.*?(?=^$|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    described = {name for table in tables for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    assert described == {key for document in documents() for key in keys(document)}


def test_every_word_is_described() -> None:
    """The phases, verdicts and outcomes on the page are those of the program."""
    first = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE))
    assert {one.value for one in Phase} | {"failed"} <= first
    assert {one.value for one in Outcome} | {one.value for one in Fate} <= first
    assert all(f"`{one.value}`" in PAGE for one in Verdict)

"""Secrets in models.yaml are found in every form that their issuers document, and ordinary text is none."""

from __future__ import annotations

import pytest

from tests.catalogs import changed, loaded
from tests.findings.base import CLEAN
from wtsctl.plan.findings import tokens
from wtsctl.plan.findings.rule import Hit
from wtsctl.plan.findings.subject import Subject

PART = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5"


def hits(text: str) -> list[Hit]:
    """What the rule finds in a catalog."""
    (rule,) = tokens.RULES
    assert rule.check is not None
    return list(rule.check(Subject(loaded(text), text, ())))


@pytest.mark.parametrize(
    "secret",
    [
        f"hf_{PART}",
        f"sk-{PART}",
        f"ghp_{PART}",
        f"github_pat_{PART}_{PART}",
        f"glpat-{PART}",
        f"sha256~{PART}{PART}",
        f"AKIA{PART[:16].upper()}",
        f"nvapi-{PART}{PART}",
        f"xoxb-{PART}",
        f"eyJ{PART}.eyJ{PART}.{PART}",
        "-----BEGIN RSA PRIVATE KEY-----",
        f"https://me:{PART}@example.com/v1",
    ],
)
def test_forms(secret: str) -> None:
    """Each form is found in a text and in a comment, at its place, and is not repeated in what is said of it."""
    in_text = changed(("prompt: Say hello.", f'prompt: "Say {secret}"'), text=CLEAN)
    in_comment = changed(("models:\n", f"models:  # {secret}\n"), text=CLEAN)
    for text, path in ((in_text, ("models", 0, "smoke", 0, "prompt")), (in_comment, ())):
        (hit,) = hits(text)
        assert hit.path == path
        assert secret not in hit.message + hit.hint
    assert hit.at == (11, 12)


@pytest.mark.parametrize(
    "harmless",
    ["disk-usage-of-all-the-nodes", "https://example.com:8000/v1", "sha256:" + "a" * 64, "hf_hub", "task-" + "b" * 30],
)
def test_ordinary_text(harmless: str) -> None:
    """What only looks a little like a secret is let pass."""
    assert hits(changed(("prompt: Say hello.", f'prompt: "Say {harmless}"'), text=CLEAN)) == []


AWS = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5/+xY"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", AWS),
        ("S3_ACCESS_KEY", "minio0access1key2"),
        ("OPENAI_KEY", "a1b2c3d4e5f6a7b8c9"),
        ("DB_PASS", "correct horse"),
        ("MYSQL_PWD", "battery-staple"),
        ("PGPASSWORD", "battery-staple"),
        ("GPG_PASSPHRASE", "battery-staple"),
        ("WHATEVER", AWS),
    ],
)
def test_names_and_values(name: str, value: str) -> None:
    """A secret is found in a variable, in a patch of either form, in a ConfigMap and in a pod under `extra`."""
    pair = f"{{name: {name}, value: '{value}'}}"
    before = "  maxModelLen: 8192\n  resources: {requests: {cpu: 8"
    container = f"{{containers: [{{name: server, env: [{pair}]}}]}}"
    merged = f"{{kind: Deployment, merge: {{spec: {{template: {{spec: {container}}}}}}}}}"
    added = f"{{kind: Deployment, json: [{{op: add, path: /spec/x, value: {pair}}}]}}"
    data = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{{name}: '{value}'}}}}"
    own = f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {container}}}"
    for change in (
        (before, f"  env: {{{name}: '{value}'}}\n{before}"),
        (before, f"  patches: [{merged}]\n{before}"),
        (before, f"  patches: [{added}]\n{before}"),
        ("models:\n", f"extra: [{data}]\nmodels:\n"),
        ("models:\n", f"extra: [{own}]\nmodels:\n"),
    ):
        (hit,) = hits(changed(change, text=CLEAN))
        assert value not in hit.message + hit.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITION_KEY", "customer"),
        ("SSH_PUBLIC_KEY", "a1b2c3d4e5f6a7b8c9"),
        ("TLS_KEY", "/etc/tls/tls.key"),
        ("HF_TOKEN", "$(HF_TOKEN)"),
        ("BYPASS", "localhost,example"),
        ("MODEL", "organisation/Model-3.1-70B-Instruct-x-y"),
        ("DB_PASS", "short"),
        ("TOKENIZER", "a/tokenizer-of-somebody"),
    ],
)
def test_names_and_values_of_no_secret(name: str, value: str) -> None:
    """Names that only resemble those of secrets, paths, references and short values are let pass."""
    data = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{{name}: '{value}'}}}}"
    before = "  maxModelLen: 8192\n  resources: {requests: {cpu: 8"
    for change in (
        (before, f"  env: {{{name}: '{value}'}}\n{before}"),
        ("models:\n", f"extra: [{data}]\nmodels:\n"),
    ):
        assert hits(changed(change, text=CLEAN)) == []

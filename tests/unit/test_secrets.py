"""Secrets: where they are made, what they are made of, and that their values are shown nowhere."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.catalogs import SMALL
from tests.command import environment
from wtsctl.catalog.load import load
from wtsctl.catalog.pods import SecretSource
from wtsctl.commands.inputs import read_templates
from wtsctl.commands.secrets import read_values
from wtsctl.errors import CatalogError, TemplateError, UsageError
from wtsctl.render.manifest import ask, render
from wtsctl.render.secrets import wanted_secrets

RESOURCES = "{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}"
CATALOG = f"""
apiVersion: wtsctl/v1
name: test
defaults:
  namespace: models
  images: {{vllm: "x:1", llamacpp: "x:1", llamaStack: "x:1"}}
secrets:
  huggingface: {{name: hub, key: HF_TOKEN, fromEnv: TEST_HF_TOKEN}}
models:
- &model
  name: chat
  runtime: vllm
  model: a/chat
  role: chat
  maxModelLen: 8192
  resources: {RESOURCES}
  apiKey: {{name: chat-key, key: API_KEY, fromFile: keys/chat}}
- <<: *model
  name: other
  namespace: others
  apiKey: {{name: others-key, key: API_KEY, external: {{store: vault, key: x}}}}
- {{<<: *model, name: plain, runtime: llamacpp, model: /x.gguf, namespace: plain, apiKey: {{name: theirs, key: KEY}}}}
llamaStack:
  namespace: stack
  resources: {RESOURCES}
  models: [chat]
  vectorStore: {{type: milvus, uri: "http://milvus:19530", token: {{name: milvus, key: token, fromEnv: TEST_MILVUS}}}}
agents:
- {{name: straight, namespace: agents, via: direct, model: chat, image: "x:1"}}
- {{name: theirs, namespace: somebody, via: direct, model: chat}}
"""
VALUE = "hf_thisIsNoRealTokenButLooksLikeOne00"
KEY = "sk-neitherIsThisAKeyOfAnyServer000000"
FORMS = (VALUE, KEY, base64.b64encode(VALUE.encode()).decode(), base64.b64encode(KEY.encode()).decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the catalog and the file that it names."""
    (tmp_path / "models.yaml").write_text(CATALOG)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "chat").write_text(f"{KEY}\n")
    return tmp_path


def wtsctl(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command in that folder."""
    return subprocess.run(
        [sys.executable, "-m", "wtsctl", *arguments],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def made(text: str = CATALOG) -> dict[str, dict[str, Any]]:
    """Every Secret and ExternalSecret, all values known."""
    catalog = load(text, filename="models.yaml").catalog
    known = {SecretSource("env", "TEST_HF_TOKEN"): VALUE, SecretSource("file", "keys/chat"): KEY}
    known |= {SecretSource("env", "TEST_MILVUS"): VALUE}
    manifests = render(catalog, read_templates(None), secrets=known)
    return {one.identity: one.doc for one in manifests if one.kind in {"Secret", "ExternalSecret"}}


def test_in_every_namespace_that_reads_it() -> None:
    """A Secret is made where pods read it: models, Llama Stack, agents that are ours; nobody else's is made."""
    secrets = made()
    assert set(secrets) == {
        "models/Secret/hub",
        "others/Secret/hub",
        "models/Secret/chat-key",
        "stack/Secret/chat-key",
        "agents/Secret/chat-key",
        "stack/Secret/milvus",
        "others/ExternalSecret/others-key",
    }
    assert base64.b64decode(secrets["stack/Secret/chat-key"]["data"]["API_KEY"]).decode() == KEY
    assert secrets["models/Secret/hub"]["data"].keys() == {"HF_TOKEN"}
    assert secrets["others/ExternalSecret/others-key"]["spec"] == {
        "refreshInterval": "3600s",
        "secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"},
        "target": {"name": "others-key", "creationPolicy": "Owner"},
        "data": [{"secretKey": "API_KEY", "remoteRef": {"key": "x"}}],
    }


def test_what_pods_name_is_made() -> None:
    """Every Secret that a rendered container names, in its own namespace, is made or is said to be somebody else's."""
    catalog = load(CATALOG, filename="models.yaml").catalog
    named: set[tuple[str, str]] = set()
    for one in render(catalog, read_templates(None)):
        template = one.doc.get("spec", {}).get("template", {}).get("spec", {})
        for container in template.get("containers", []):
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    named.add((str(one.namespace), reference["name"]))
    wanted = {(one.namespace, one.name) for one in wanted_secrets(ask(catalog))}
    assert named - wanted == {("plain", "theirs")}
    assert wanted - named == set()


def test_several_keys_of_one_secret() -> None:
    """Two references to one Secret make one object with both keys."""
    secrets = made(CATALOG.replace("name: chat-key, key: API_KEY", "name: hub, key: API_KEY"))
    assert secrets["models/Secret/hub"]["data"].keys() == {"HF_TOKEN", "API_KEY"}
    assert secrets["stack/Secret/hub"]["data"].keys() == {"API_KEY"}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{name: hub, key: HF_TOKEN, fromFile: keys/chat}", "the key HF_TOKEN of models/hub comes from keys/chat here"),
        ("{name: hub, key: OTHER}", "the Secret models/hub comes from somebody else here"),
        ("{name: hub, key: OTHER, external: {store: vault, key: x}}", "comes from ClusterSecretStore vault"),
    ],
)
def test_one_secret_has_one_maker(key: str, said: str) -> None:
    """Two references that want a Secret made in two ways contradict each other, and the second is told."""
    text = CATALOG.replace("{name: chat-key, key: API_KEY, fromFile: keys/chat}", key)
    with pytest.raises(CatalogError) as caught:
        load(text, filename="models.yaml")
    assert said in caught.value.problems[0].message
    assert "models[0].apiKey" in caught.value.problems[0].message


def test_values_from_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is taken as it is; of a file the last line end is left out; what is empty or missing is lacking."""
    monkeypatch.setenv("SET", " as it is\n")
    monkeypatch.setenv("EMPTY", "")
    (folder / "windows").write_bytes(b"value\r\n")
    (folder / "lines").write_text("first\nsecond\n\n")
    (folder / "blank").write_text("\n")
    wanted = [SecretSource("env", name) for name in ("SET", "EMPTY", "NOT_SET")]
    wanted += [SecretSource("file", name) for name in ("windows", "lines", "blank", "missing", "keys/chat")]
    values = read_values(wanted, folder / "models.yaml")
    assert {source.name: value for source, value in values.known.items()} == {
        "SET": " as it is\n",
        "windows": "value",
        "lines": "first\nsecond\n",
        "keys/chat": KEY,
    }
    assert {source.name: why for source, why in values.lacking.items()} == {
        "EMPTY": "$EMPTY is empty",
        "NOT_SET": "the environment variable NOT_SET is not set",
        "blank": "blank is empty",
        "missing": f"the file {folder}/missing is not there",
    }
    assert KEY not in repr(values)


@pytest.mark.parametrize("name", ["keys", "binary", "large"])
def test_a_file_that_is_no_value(folder: Path, name: str) -> None:
    """A folder, bytes that are no text, and more than a Secret holds are errors that do not show the content."""
    (folder / "binary").write_bytes(b"secret\xff")
    (folder / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(UsageError, match=name) as caught:
        read_values([SecretSource("file", name)], folder / "models.yaml")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in repr(caught.value.__cause__)


def test_render_leaves_them_out(folder: Path) -> None:
    """Without being asked, render says how many Secrets are left out, and no output has a value."""
    for options in ([], ["-v"], ["-o", "json"], ["--output-dir", "out"], ["--kustomize", "tree"]):
        done = wtsctl(folder, "render", *options, TEST_HF_TOKEN=VALUE, TEST_MILVUS=VALUE)
        assert done.returncode == 0, done.stderr
        assert "6 Secrets are left out" in done.stderr
        assert not any(form in done.stdout + done.stderr for form in FORMS)
    for path in (*folder.glob("out/**/*.yaml"), *folder.glob("tree/**/*.yaml")):
        assert not any(form in path.read_text() for form in FORMS), path


def test_render_with_secrets(folder: Path) -> None:
    """Asked for, they are rendered with their values, into files that their owner alone can read."""
    done = wtsctl(folder, "render", "--with-secrets", TEST_HF_TOKEN=VALUE, TEST_MILVUS=VALUE)
    assert done.returncode == 0
    secrets = [one for one in yaml.safe_load_all(done.stdout) if one["kind"] == "Secret"]
    assert len(secrets) == 6
    assert VALUE not in done.stderr
    for options in (["--output-dir", "out"], ["--kustomize", "tree"]):
        done = wtsctl(folder, "render", "--with-secrets", *options, TEST_HF_TOKEN=VALUE, TEST_MILVUS=VALUE)
        assert done.returncode == 0, done.stderr
        files = list(folder.glob(f"{options[1]}/**/*.yaml"))
        assert any(FORMS[2] in path.read_text() for path in files)
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert not any(form in done.stdout + done.stderr for form in FORMS)


def test_render_with_secrets_of_none(folder: Path) -> None:
    """Where models.yaml makes no Secret, asking for them is answered on stderr."""
    (folder / "models.yaml").write_text(SMALL)
    done = wtsctl(folder, "render", "--with-secrets")
    assert done.returncode == 0
    assert "no Secret is rendered" in done.stderr


def test_render_with_secrets_that_are_not_here(folder: Path) -> None:
    """What cannot be rendered for lack of a value is named, all of it, and nothing is written."""
    (folder / "keys" / "chat").unlink()
    done = wtsctl(folder, "render", "--with-secrets", "--output-dir", "out", "-o", "json", TEST_HF_TOKEN=VALUE)
    assert done.returncode == 2
    said = json.loads(done.stdout)["errors"]
    assert {one["where"] for one in said} == {
        "models/Secret/chat-key",
        "stack/Secret/chat-key",
        "agents/Secret/chat-key",
        "stack/Secret/milvus",
    }
    assert "the environment variable TEST_MILVUS is not set" in said[-1]["message"]
    assert not (folder / "out").exists()
    assert VALUE not in done.stdout + done.stderr


def test_a_template_never_sees_a_value(folder: Path) -> None:
    """A template of the user's that fails over a Secret shows no value, for none was given to it."""
    overlay = folder / "mine" / "shared"
    overlay.mkdir(parents=True)
    for text in ("{{ secretName.nothing.at.all }}", "kind: [ {{ labels | tojson }} {{ data }}", "{{ 1 / 0 }}"):
        (overlay / "secret.yaml.j2").write_text(text)
        done = wtsctl(
            folder,
            *("render", "--with-secrets", "--templates", "mine", "-vv"),
            TEST_HF_TOKEN=VALUE,
            TEST_MILVUS=VALUE,
            WTSCTL_DEBUG="1",
        )
        assert done.returncode == 3
        assert "secret.yaml.j2" in done.stderr
        assert not any(form in done.stdout + done.stderr for form in FORMS)


def test_values_stand_in_no_argument_and_no_repr() -> None:
    """What is handed from one part to the next shows no value when it is printed."""
    asked = ask(load(CATALOG, filename="models.yaml").catalog, secrets={SecretSource("env", "TEST_HF_TOKEN"): VALUE})
    assert VALUE not in repr(asked)
    with pytest.raises(TemplateError) as caught:
        render(asked.catalog, {}, secrets={SecretSource("env", "TEST_HF_TOKEN"): VALUE})
    assert VALUE not in str(caught.value)
    assert os.environ.get("TEST_HF_TOKEN") is None

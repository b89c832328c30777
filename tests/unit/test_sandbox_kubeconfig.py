"""The sandbox's kubeconfig, and merging it into the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wtsctl.errors import SandboxError
from wtsctl.sandbox import kubeconfig

OWN = """\
apiVersion: v1
kind: Config
current-context: work
preferences: {colors: true}
clusters:
- name: work
  cluster: {server: "https://work.example:6443"}
users:
- name: me
  user: {token: abc}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: mine}
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A sandbox's kubeconfig; the certificates need not be any here."""
    pki = tmp_path / "pki"
    pki.mkdir()
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (pki / name).write_text(name)
    path = tmp_path / "kubeconfig"
    kubeconfig.write(path, name="wtsctl-try", server="https://10.213.0.2:6443", pki=pki, user="admin")
    return path


def test_it_is_private_and_complete(made: Path) -> None:
    """Mode 0600, everything inside it, nothing by path."""
    assert made.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(made.read_text())
    assert content["current-context"] == "wtsctl-try"
    assert content["clusters"][0]["cluster"] == {
        "server": "https://10.213.0.2:6443",
        "certificate-authority-data": "Y2EuY3J0",
    }
    assert content["users"][0]["user"] == {
        "client-certificate-data": "YWRtaW4uY3J0",
        "client-key-data": "YWRtaW4ua2V5",
    }
    assert not list(made.parent.glob(".kubeconfig*")), "no temporary file stays"


def test_merging_keeps_what_is_there(made: Path, tmp_path: Path) -> None:
    """Other clusters, users, contexts and settings stay; the context is added and becomes the current one."""
    own = tmp_path / "own"
    own.write_text(OWN)
    own.chmod(0o640)
    kubeconfig.merge(made, own)
    merged = yaml.safe_load(own.read_text())
    before = yaml.safe_load(OWN)
    for kind in ("clusters", "users", "contexts"):
        assert merged[kind][0] == before[kind][0]
        assert merged[kind][1]["name"] == "wtsctl-try"
    assert merged["preferences"] == before["preferences"]
    assert merged["current-context"] == "wtsctl-try"
    assert own.stat().st_mode & 0o777 == 0o640, "the mode is the user's choice"


def test_merging_twice_adds_once(made: Path, tmp_path: Path) -> None:
    """A second `up --merge` replaces the entries."""
    own = tmp_path / "own"
    kubeconfig.merge(made, own)
    once = own.read_text()
    kubeconfig.merge(made, own)
    assert own.read_text() == once
    assert own.stat().st_mode & 0o777 == 0o600, "a new file is private"


def test_a_link_stays_a_link(made: Path, tmp_path: Path) -> None:
    """A kubeconfig kept in a dotfiles folder is changed where it lies."""
    real = tmp_path / "dotfiles" / "config"
    real.parent.mkdir()
    real.write_text(OWN)
    link = tmp_path / "config"
    link.symlink_to(real)
    kubeconfig.merge(made, link)
    assert link.is_symlink()
    assert "wtsctl-try" in real.read_text()


@pytest.mark.parametrize(("content", "message"), [("a: [", "is not YAML"), ("kind: Secret\n", "is no kubeconfig")])
def test_a_file_that_is_no_kubeconfig_is_left_alone(made: Path, tmp_path: Path, content: str, message: str) -> None:
    """The error names the file, and not a byte of it is changed."""
    own = tmp_path / "own"
    own.write_text(content)
    with pytest.raises(SandboxError, match=message) as caught:
        kubeconfig.merge(made, own)
    assert str(own) in str(caught.value)
    assert own.read_text() == content


def test_unmerging_takes_only_ours_away(made: Path, tmp_path: Path) -> None:
    """`down --purge` leaves no context that leads nowhere, and the rest as it was."""
    own = tmp_path / "own"
    own.write_text(OWN)
    kubeconfig.merge(made, own)
    assert kubeconfig.unmerge("wtsctl-try", own)
    after = yaml.safe_load(own.read_text())
    before = yaml.safe_load(OWN)
    assert after == {**before, "current-context": ""}
    assert not kubeconfig.unmerge("wtsctl-try", own)
    assert not kubeconfig.unmerge("wtsctl-try", tmp_path / "none")


def test_the_users_own_is_the_one_kubectl_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file of KUBECONFIG, or ~/.kube/config."""
    monkeypatch.setenv("KUBECONFIG", f":{tmp_path}/a:{tmp_path}/b")
    assert kubeconfig.users_own() == tmp_path / "a"
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kubeconfig.users_own() == Path(tmp_path, ".kube", "config")

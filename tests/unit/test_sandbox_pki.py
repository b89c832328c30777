"""Certificates, made and verified by the real openssl."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox import pki

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

WANTED = pki.certificates("10.213.0.2", "10.96.0.1", "sandbox")
DAY = 24 * 3600


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every certificate; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "pki"
    assert pki.ensure(folder, WANTED)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(made, tmp_path / "pki")


def text(folder: Path, name: str) -> str:
    """A certificate as openssl prints it."""
    command = ["openssl", "x509", "-in", str(folder / f"{name}.crt"), "-noout", "-text", "-nameopt", "RFC2253"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("certificate", WANTED, ids=lambda certificate: certificate.name)
def test_each_is_verified_by_its_authority_and_no_other(made: Path, certificate: pki.Certificate) -> None:
    """The clients of etcd are not the API server's clients: three authorities, each with its own certificates."""
    issuer = certificate.issuer or certificate.name
    for authority in ("ca", "etcd-ca", "front-proxy-ca"):
        answer = subprocess.run(
            ["openssl", "verify", "-CAfile", str(made / f"{authority}.crt"), str(made / f"{certificate.name}.crt")],
            capture_output=True,
            check=False,
        )
        assert (answer.returncode == 0) == (authority == issuer)


@pytest.mark.parametrize("certificate", WANTED, ids=lambda certificate: certificate.name)
def test_each_key_is_private_and_fits(made: Path, certificate: pki.Certificate) -> None:
    """Keys have mode 0600 and belong to their certificates."""
    key = made / f"{certificate.name}.key"
    assert key.stat().st_mode & 0o777 == 0o600
    of_key = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout"], capture_output=True, check=True).stdout
    command = ["openssl", "x509", "-in", str(made / f"{certificate.name}.crt"), "-noout", "-pubkey"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == of_key


def test_the_folder_and_the_account_key_are_private(made: Path) -> None:
    """Whoever signs ServiceAccount tokens may do anything."""
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / "service-account.key").stat().st_mode & 0o777 == 0o600
    assert b"PUBLIC KEY" in (made / "service-account.pub").read_bytes()
    assert not [path for path in made.iterdir() if path.is_dir()], "no scratch folder stays"


def test_the_api_server_is_named_by_all_its_addresses(made: Path) -> None:
    """From this machine, from a pod by address and by name, and from the node itself."""
    printed = text(made, "apiserver")
    names = ("10.213.0.2", "10.96.0.1", "127.0.0.1", "localhost", "kubernetes.default.svc.cluster.local")
    assert all(name in printed for name in names)
    assert "TLS Web Server Authentication" in printed


def test_the_kubelets_serving_certificate_names_the_nodes_address(made: Path) -> None:
    """Without it logs, exec and port-forward fail with an x509 error."""
    assert "IP Address:10.213.0.2" in text(made, "kubelet-server")


def test_who_is_who(made: Path) -> None:
    """Subjects are the user names and groups that Kubernetes' built-in roles are bound to."""
    subjects = {
        "kubelet": "CN=system:node:sandbox,O=system:nodes",
        "scheduler": "CN=system:kube-scheduler",
        "controller-manager": "CN=system:kube-controller-manager",
        "kube-proxy": "CN=system:kube-proxy",
        "admin": "CN=kubernetes-admin,O=system:masters",
    }
    for name, subject in subjects.items():
        assert re.search(rf"Subject: {subject}$", text(made, name), re.MULTILINE), name


def test_they_last_a_year(made: Path) -> None:
    """Long enough for a sandbox, short enough that renewal is not an afterthought."""
    command = ["openssl", "x509", "-in", str(made / "admin.crt"), "-noout", "-checkend"]
    assert subprocess.run([*command, str(364 * DAY)], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, str(366 * DAY)], check=False, capture_output=True).returncode == 1


def test_nothing_is_due_after_making(made: Path) -> None:
    """A second start keeps every certificate, and with them every kubeconfig."""
    before = (made / "admin.crt").read_bytes()
    assert not pki.ensure(made, WANTED)
    assert (made / "admin.crt").read_bytes() == before


def test_all_are_due_within_thirty_days_of_their_end(made: Path) -> None:
    """A start in the last month renews them."""
    now = time.time()
    assert pki.due(made, WANTED, now=now + 334 * DAY) == ()
    assert pki.due(made, WANTED, now=now + 336 * DAY) == WANTED


def test_another_address_renews_what_names_it(own: Path) -> None:
    """A sandbox that moved to another subnet gets new serving certificates and keeps its users'."""
    moved = pki.certificates("172.30.0.2", "10.96.0.1", "sandbox")
    due = pki.due(own, moved, now=time.time())
    assert [certificate.name for certificate in due] == ["apiserver", "kubelet-server"]
    admin = (own / "admin.crt").read_bytes()
    assert pki.ensure(own, moved)
    assert "IP Address:172.30.0.2" in text(own, "apiserver")
    assert (own / "admin.crt").read_bytes() == admin


@pytest.mark.parametrize("suffix", ["crt", "key"])
def test_a_damaged_or_missing_file_is_renewed(own: Path, suffix: str) -> None:
    """A certificate or key that was cut off is found by its digest."""
    (own / f"scheduler.{suffix}").write_text("cut off")
    (own / f"kube-proxy.{suffix}").unlink()
    due = pki.due(own, WANTED, now=time.time())
    assert [certificate.name for certificate in due] == ["scheduler", "kube-proxy"]


def test_a_new_authority_renews_what_it_signed(own: Path) -> None:
    """Losing one CA renews its certificates and leaves those of the others."""
    (own / "etcd-ca.key").unlink()
    due = {certificate.name for certificate in pki.due(own, WANTED, now=time.time())}
    assert due == {"etcd-ca", "etcd", "etcd-client"}


@pytest.mark.parametrize("record", ["", "[]", "{"])
def test_a_damaged_record_renews_all(own: Path, record: str) -> None:
    """Without the record nothing is known of the files."""
    (own / "certificates.json").write_text(record)
    assert pki.due(own, WANTED, now=time.time()) == WANTED


def test_no_openssl_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the program and the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="openssl is not installed") as caught:
        pki.ensure(tmp_path / "pki", WANTED)
    assert "apt install openssl" in str(caught.value)


def test_an_unwritable_folder_shows_what_openssl_said(tmp_path: Path) -> None:
    """A key that cannot be written is an error with the reason, not a traceback."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "service-account.key").symlink_to("/proc/nowhere/key")
    with pytest.raises(SandboxError, match="openssl genpkey failed"):
        pki.ensure(tmp_path / "pki", WANTED)

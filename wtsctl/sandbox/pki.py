"""The sandbox's certificates, made with the openssl command; keys stay in files of mode 0600."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable

VALID_DAYS = 365
RENEW_DAYS = 30
_DAY = 24 * 3600
_RECORD = "certificates.json"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says.

    Attributes:
        name: its file name without `.crt`; the key is beside it in `.key`.
        common_name: the user name that Kubernetes reads from a client certificate.
        organization: its group, or empty.
        names: subject alternative names as openssl writes them: `IP:127.0.0.1`, `DNS:localhost`.
        server: usable by a server.
        client: usable by a client.
        issuer: the name of the CA that signs it; empty for a CA.
    """

    name: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    issuer: str = "ca"

    @property
    def says(self) -> str:
        """All of it in one string, to compare with what was made before."""
        return json.dumps(
            [self.common_name, self.organization, sorted(self.names), self.server, self.client, self.issuer]
        )


def certificates(server: str, service: str, node: str) -> tuple[Certificate, ...]:
    """Every certificate of a sandbox, its three CAs first.

    Args:
        server: the address that the API server is reached at from this machine.
        service: the ClusterIP of the Service `kubernetes`.
        node: the node's name.
    """
    local = ("IP:127.0.0.1", "DNS:localhost")
    # etcd and the aggregation layer trust by CA alone, whatever the name in the certificate: each has its own,
    # or every client of the API server could pass for the API server.
    return (
        Certificate("ca", "wtsctl-sandbox-ca", issuer=""),
        Certificate("etcd-ca", "wtsctl-sandbox-etcd-ca", issuer=""),
        Certificate("front-proxy-ca", "wtsctl-sandbox-front-proxy-ca", issuer=""),
        Certificate("etcd", "etcd", names=local, server=True, client=True, issuer="etcd-ca"),
        Certificate("etcd-client", "kube-apiserver", client=True, issuer="etcd-ca"),
        Certificate("front-proxy-client", "front-proxy-client", client=True, issuer="front-proxy-ca"),
        Certificate(
            "apiserver",
            "kube-apiserver",
            names=(
                *dict.fromkeys((*local, f"IP:{server}", f"IP:{service}")),
                *(f"DNS:kubernetes{suffix}" for suffix in _SUFFIXES),
            ),
            server=True,
        ),
        Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", client=True),
        # The controller manager and the scheduler, asked for their health on the loopback address.
        Certificate("component", "component", names=local, server=True),
        Certificate("controller-manager", "system:kube-controller-manager", client=True),
        Certificate("scheduler", "system:kube-scheduler", client=True),
        Certificate("kube-proxy", "system:kube-proxy", client=True),
        Certificate("coredns", "system:coredns", client=True),
        Certificate("kubelet", f"system:node:{node}", "system:nodes", client=True),
        # Must name the node's InternalIP, or logs, exec and port-forward fail.
        Certificate(
            "kubelet-server",
            f"system:node:{node}",
            "system:nodes",
            names=(f"DNS:{node}", *dict.fromkeys((*local, f"IP:{server}"))),
            server=True,
        ),
        Certificate("admin", "kubernetes-admin", "system:masters", client=True),
    )


_SUFFIXES = ("", ".default", ".default.svc", ".default.svc.cluster.local")


def due(folder: Path, wanted: Iterable[Certificate], *, now: float) -> tuple[Certificate, ...]:
    """Which of the wanted certificates are missing, changed, about to expire, or were signed by one that is.

    Args:
        folder: where they are.
        wanted: the certificates, CAs first.
        now: seconds since the epoch.
    """
    record = _read_record(folder)
    found: dict[str, Certificate] = {}
    for certificate in wanted:
        made = record.get(certificate.name)
        if (
            certificate.issuer in found
            or made is None
            or made.get("says") != certificate.says
            or made.get("expires", 0) < now + RENEW_DAYS * _DAY
            or made.get("digest") != _digest(folder, certificate.name)
        ):
            found[certificate.name] = certificate
    return tuple(found.values())


def ensure(folder: Path, wanted: tuple[Certificate, ...], *, now: float | None = None) -> bool:
    """Make what is due; return whether anything was.

    Raises:
        SandboxError: openssl is missing or failed.
    """
    now = time.time() if now is None else now
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    todo = due(folder, wanted, now=now)
    accounts = folder / "service-account.key"
    if not accounts.exists():
        _openssl(["genpkey", *_KEY, "-out", str(accounts)])
    public = folder / "service-account.pub"
    if not public.exists():
        _openssl(["pkey", "-in", str(accounts), "-pubout", "-out", str(public)])
    if not todo:
        return False
    authorities = [certificate for certificate in todo if not certificate.issuer]
    with ThreadPoolExecutor(max_workers=4) as pool:
        for batch in (authorities, [certificate for certificate in todo if certificate.issuer]):
            list(pool.map(lambda certificate: _make(folder, certificate), batch))
    record = _read_record(folder)
    for certificate in todo:
        record[certificate.name] = {
            "says": certificate.says,
            "expires": now + VALID_DAYS * _DAY,
            "digest": _digest(folder, certificate.name),
        }
    temporary = folder / f".{_RECORD}"
    temporary.write_text(json.dumps(record, indent=1))
    temporary.replace(folder / _RECORD)
    return True


_KEY = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve")


def _make(folder: Path, certificate: Certificate) -> None:
    """Make a key and have its CA sign the certificate."""
    key, target = folder / f"{certificate.name}.key", folder / f"{certificate.name}.crt"
    usage = [text for text, on in (("serverAuth", certificate.server), ("clientAuth", certificate.client)) if on]
    if certificate.issuer:
        extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
        extensions.append(f"extendedKeyUsage={','.join(usage)}")
    else:
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]
        extensions.append("subjectKeyIdentifier=hash")
    if certificate.names:
        extensions.append(f"subjectAltName={','.join(certificate.names)}")
    subject = f"/O={certificate.organization}" if certificate.organization else ""
    subject += f"/CN={certificate.common_name}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        request, text = Path(scratch) / "request", Path(scratch) / "extensions"
        fresh_key, fresh = Path(scratch) / "key", Path(scratch) / "crt"
        text.write_text("\n".join(extensions) + "\n")
        _openssl(["genpkey", *_KEY, "-out", str(fresh_key)])
        _openssl(["req", "-new", "-key", str(fresh_key), "-subj", subject, "-out", str(request)])
        sign = ["x509", "-req", "-in", str(request), "-days", str(VALID_DAYS), "-extfile", str(text)]
        # A serial number at random: nothing to count in a file, so certificates can be signed at once.
        sign += ["-set_serial", f"0x{os.urandom(16).hex()}", "-out", str(fresh)]
        if certificate.issuer:
            issuer = folder / certificate.issuer
            sign += ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key"]
        else:
            sign += ["-signkey", str(fresh_key)]
        _openssl(sign)
        fresh_key.replace(key)
        fresh.replace(target)


def _openssl(arguments: list[str]) -> None:
    try:
        answer = subprocess.run(
            ["openssl", *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            # Every file that it makes may hold a key.
            umask=0o077,
        )
    except FileNotFoundError as error:
        raise SandboxError(
            "openssl is not installed; the sandbox's certificates are made with it", hint="apt install openssl"
        ) from error
    if answer.returncode != 0:
        raise SandboxError(f"openssl {arguments[0]} failed: {answer.stderr.strip()[-400:]}")


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _digest(folder: Path, name: str) -> str:
    """A digest of a certificate and its key; empty when one is missing."""
    try:
        both = (folder / f"{name}.crt").read_bytes() + (folder / f"{name}.key").read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(both).hexdigest()

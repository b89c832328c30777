"""The pods' sandbox image."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from wtsctl.sandbox import pause
from wtsctl.sandbox.config import PAUSE_IMAGE

if TYPE_CHECKING:
    from pathlib import Path


def content(archive: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_it_is_a_docker_archive_of_one_program(tmp_path: Path) -> None:
    """Manifest, configuration and layer fit together, and the program runs as nobody."""
    (tmp_path / "pause").write_bytes(b"\x7fELF...")
    files = content(pause.archive(tmp_path / "pause"))
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == [PAUSE_IMAGE]
    config = files[manifest["Config"]]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    (layer,) = (files[name] for name in manifest["Layers"])
    document = json.loads(config)
    assert document["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert document["config"]["Entrypoint"] == ["/pause"]
    assert document["config"]["User"] == "65535:65535"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mode, member.size) == ("pause", 0o755, 7)


def test_the_same_program_gives_the_same_archive(tmp_path: Path) -> None:
    """No time and no name of a user is in it."""
    (tmp_path / "pause").write_bytes(b"x")
    assert pause.archive(tmp_path / "pause") == pause.archive(tmp_path / "pause")

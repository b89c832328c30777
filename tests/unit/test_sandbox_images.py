"""Naming, keying and finding the sandbox's images; building them is tests/e2e/test_sandbox_image.py."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from wtsctl.errors import SandboxError
from wtsctl.sandbox import images
from wtsctl.sandbox.images import archive, build, payload

ROOT = Path(__file__).resolve().parents[2]


def silent(line: str) -> None:
    """Take progress where there must be none."""
    pytest.fail(f"unexpected progress: {line}")


def complete(folder: Path, key: str, content: bytes = b"an archive") -> archive.ImageArchive:
    """Write an archive and its record, as a build leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"llamacpp-{key}.tar"
    path.write_bytes(content)
    made = archive.ImageArchive(archive.NAME, archive.TAG, key, path, len(content), archive.digest(path))
    archive.record(made)
    return made


def test_reference_is_what_the_kubelet_asks_for() -> None:
    """The reference has the registry that containerd adds, and needs no build to be known."""
    assert images.references() == ("docker.io/wtsctl-sandbox/llamacpp:smollm2-135m",)


def test_the_sandbox_profile_asks_for_this_image() -> None:
    """models.yaml's sandbox profile names the image that is built, and the weights at their path in it."""
    profile = yaml.safe_load((ROOT / "models.yaml").read_text())["profiles"]["sandbox"]
    assert f"docker.io/{profile['defaults']['images']['llamacpp']}" in images.references()
    containerfile = (payload.SOURCE / "Containerfile").read_text()
    assert f"LLAMA_ARG_MODEL={profile['eachModel']['model']} " in containerfile


def test_key_changes_with_every_input() -> None:
    """A changed byte, a changed name, and bytes moved from one input to the next give other keys."""
    keys = {
        archive.content_key(inputs)
        for inputs in (
            [("a", b"1"), ("b", b"2")],
            [("a", b"1"), ("b", b"3")],
            [("a", b"1"), ("c", b"2")],
            [("a", b"12"), ("b", b"")],
            [("a", b"1")],
        )
    }
    assert len(keys) == 5


def test_key_does_not_depend_on_order() -> None:
    """The inputs are a set of names with contents."""
    assert archive.content_key([("a", b"1"), ("b", b"2")]) == archive.content_key([("b", b"2"), ("a", b"1")])


def test_payload_key_depends_on_pins_and_machine() -> None:
    """Other pins or another architecture are another payload."""
    assert len({payload.key(b"x==1", "x86_64"), payload.key(b"x==2", "x86_64"), payload.key(b"x==1", "aarch64")}) == 3


def test_every_pin_has_a_hash() -> None:
    """Nothing is downloaded for the image without a version and a SHA-256."""
    text = (payload.SOURCE / "requirements.txt").read_text().replace("\\\n", " ")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(pins) == 2
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_complete_archive_is_found(tmp_path: Path) -> None:
    """A recorded archive comes back with its size and digest."""
    made = complete(tmp_path, "k1")
    assert archive.find(made.path, "k1") == made


@pytest.mark.parametrize("record", ["", "{", "[]", '"text"', json.dumps({"key": "other", "size": 10})])
def test_archive_with_a_bad_record_is_refused(tmp_path: Path, record: str) -> None:
    """A record that was cut off, or is another build's, does not vouch for the archive."""
    made = complete(tmp_path, "k1")
    made.path.with_suffix(".json").write_text(record)
    assert archive.find(made.path, "k1") is None


def test_half_an_archive_is_refused(tmp_path: Path) -> None:
    """An archive that lost its end, or has no record yet, is not used."""
    made = complete(tmp_path, "k1")
    made.path.write_bytes(b"an arch")
    assert archive.find(made.path, "k1") is None
    made.path.with_suffix(".json").unlink()
    assert archive.find(made.path, "k1") is None


def test_nothing_is_found_in_an_empty_cache(tmp_path: Path) -> None:
    """A cache folder that does not exist yet is an ordinary beginning."""
    assert archive.find(tmp_path / "none" / "a.tar", "k1") is None


def test_ensure_finds_the_cached_image_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the archive in the cache no tool is needed, nothing is said, and it takes milliseconds of CPU."""
    made = complete(tmp_path / "images", build.key())
    monkeypatch.setenv("PATH", str(tmp_path))
    began = time.process_time()
    assert images.ensure(tmp_path, silent) == (made,)
    assert time.process_time() - began < 0.1


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the build is refused before its tools are looked for")
def test_missing_tools_are_named_before_anything_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without buildah the message says so with the line that installs it, and the cache stays empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"cannot build the images: not installed: buildah") as raised:
        images.ensure(tmp_path / "cache", silent)
    assert "buildah" in raised.value.problems[0].hint
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("unprivileged")
def test_without_root_the_build_is_refused(tmp_path: Path) -> None:
    """Without root the message says that only the node needs the image."""
    with pytest.raises(SandboxError, match="needs root") as raised:
        images.ensure(tmp_path / "cache", silent)
    assert "--no-node" in raised.value.problems[0].hint

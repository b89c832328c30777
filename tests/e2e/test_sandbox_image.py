"""The real image: what is in it, that it runs as a restricted pod would run it, and how its build fails."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.llamacpp import ALIAS, serving
from wtsctl.errors import SandboxError
from wtsctl.sandbox import debian, images
from wtsctl.sandbox.images import payload
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="building the sandbox's image needs root"),
]

# Measured 224 MB on amd64 with a base made by mmdebstrap; on a pulled base apt adds its own files.
LARGEST = 270_000_000
MODEL = f"weights/{payload.MODEL}"


def tell(line: str) -> None:
    """Pass progress on to the log of the run."""
    sys.stderr.write(f"{line}\n")


@dataclass(frozen=True, slots=True)
class Opened:
    """An image's archive, its configuration and the entries of its layers, lowest layer first."""

    archive: images.ImageArchive
    tags: list[str]
    config: dict[str, Any]
    layers: list[list[tarfile.TarInfo]]

    @property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """What a container sees: the entries of all layers by their path, the upper ones winning."""
        return {entry.name.removeprefix("./"): entry for layer in self.layers for entry in layer}


@pytest.fixture(scope="module")
def image() -> Opened:
    """The image of the sandbox's own cache, built if it is not there."""
    needs = debian.missing(debian.Purpose.IMAGES, debian.Purpose.BASE_IMAGE)
    if needs:
        pytest.skip(str(debian.error(debian.Purpose.IMAGES, needs)))
    (found,) = images.ensure(Layout.of().cache, tell)
    with tarfile.open(found.path) as outer:

        def member(name: str) -> bytes:
            handle = outer.extractfile(name)
            assert handle is not None
            return handle.read()

        (manifest,) = json.loads(member("manifest.json"))
        layers = []
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(member(name))) as layer:
                layers.append(layer.getmembers())
        return Opened(found, manifest["RepoTags"], json.loads(member(manifest["Config"])), layers)


@pytest.fixture(scope="module")
def root(image: Opened, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image's root filesystem, unpacked for as long as the test runs."""
    folder = tmp_path_factory.mktemp("root")
    folder.chmod(0o755)
    with tarfile.open(image.archive.path) as outer:
        names = json.load(outer.extractfile("manifest.json") or io.BytesIO())[0]["Layers"]
        for name in names:
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                entries = [entry for entry in layer if not entry.isdev()]
                layer.extractall(folder, entries, filter="tar")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """A cache of its own with the same downloads and base, so that a build in it needs no network."""
    home = Layout.of().cache / "images"
    payload.ensure(Layout.of().cache, tell)
    copy = tmp_path / "images"
    copy.mkdir()
    for kept in [*home.glob("payload-*"), *home.glob("base-*.tar")]:
        (copy / kept.name).symlink_to(kept)
    yield tmp_path
    for built in copy.glob("llamacpp-*.tar"):
        built.unlink()


def test_is_named_as_the_manifests_name_it(image: Opened) -> None:
    """The archive carries the one reference that the kubelet will look for, and its record is right."""
    assert image.tags == list(images.references()) == [image.archive.reference]
    assert image.archive.size == image.archive.path.stat().st_size


def test_runs_as_a_plain_user(image: Opened) -> None:
    """The user is a number, so that runAsNonRoot can be checked, and the entry point takes only flags."""
    assert image.config["config"]["User"] == "65532:65532"
    assert image.config["config"]["Entrypoint"] == ["/usr/bin/python3", "/opt/llamacpp/server.py"]
    assert not image.config["config"].get("Cmd")


def test_is_small_and_holds_the_weights_once(image: Opened) -> None:
    """The archive stays under its bound; the weights are in one layer; no wheel, list or cache came along."""
    assert image.archive.size < LARGEST
    every = [entry.name for layer in image.layers for entry in layer]
    assert [name for name in every if name.endswith(".gguf")] == [MODEL]
    leftovers = [
        name
        for name in every
        if (name.startswith("opt/") and name.endswith((".whl", ".pyc"))) or "var/lib/apt/lists/deb" in name
    ]
    assert leftovers == []


def test_carries_the_licences(image: Opened) -> None:
    """The licences of the weights and of the server are in the image."""
    assert {"weights/LICENSE", "opt/llamacpp/LICENSE.xllamacpp"} <= set(image.files)


def test_nothing_of_ours_can_be_changed_by_the_pod(image: Opened) -> None:
    """What the Containerfile added belongs to root, is readable by all, writable by root, and setuid nowhere."""
    ours = {name: entry for name, entry in image.files.items() if name.startswith(("opt/", "weights/"))}
    assert MODEL in ours
    for name, entry in ours.items():
        assert (entry.uid, entry.gid) == (0, 0), name
        assert entry.mode & 0o7777 == (0o755 if entry.isdir() else 0o644), name


def test_world_writable_are_only_the_sticky_folders(image: Opened) -> None:
    """Nothing in the image is writable for everybody, but for /tmp and its like with the sticky bit."""
    odd = [
        name
        for name, entry in image.files.items()
        if entry.mode & 0o002 and not (entry.issym() or entry.ischr() or entry.mode & 0o1000)
    ]
    assert odd == []


def test_serves_on_a_read_only_root_as_any_user(root: Path, tmp_path: Path) -> None:
    """With the image's own Python, no writable file and a user that it has never heard of, it answers a prompt."""
    read_only = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot --userspec=12345:12345 "$0" "$@"'
    )
    server = ["/usr/bin/python3", "/opt/llamacpp/server.py", "--host", "127.0.0.1", "--port", "0", "--alias", ALIAS]
    command = ["unshare", "--mount", "sh", "-c", read_only, str(root), *server]
    environment = {"PATH": os.environ["PATH"], "LLAMA_ARG_MODEL": f"/{MODEL}", "LLAMA_ARG_CACHE_RAM": "0"}
    with serving(command, environment, tmp_path / "log") as running:
        body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["choices"][0]["message"]["content"].strip()
    assert answer["model"] == ALIAS


def test_a_half_built_archive_is_built_again(image: Opened, cache: Path) -> None:
    """An archive that a killed build left is replaced, its work folder removed, and the user told.

    Nor does the build leave anything in the folder that buildah uses by default.
    """
    home = cache / "images"
    left = home / f"llamacpp-{image.archive.key}.tar"
    left.write_bytes(b"half")
    (home / "build-killed").mkdir()
    said: list[str] = []
    elsewhere = Path("/var/lib/containers")
    before = sorted(elsewhere.rglob("*"))
    (made,) = images.ensure(cache, said.append)
    assert sorted(elsewhere.rglob("*")) == before
    assert made.path == left
    assert made.size == left.stat().st_size > 200_000_000
    assert f"the cached image {left.name} is incomplete: building it again" in said
    assert not list(home.glob("build-*/"))
    said.clear()
    assert images.ensure(cache, said.append) == (made,)
    assert said == []


def in_a_small_disk(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `folder` on a disk of 20 MB, in a mount namespace of its own."""
    mount = 'mount -t tmpfs -o size=20m none "$1" && exec "$2" -c "$3" "$1"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", str(folder), sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


PREAMBLE = """
import sys
from pathlib import Path
from wtsctl.errors import SandboxError
from wtsctl.sandbox import images
from wtsctl.sandbox.images import payload
cache = Path(sys.argv[1])
try:
    {call}(cache, lambda line: None)
except SandboxError as error:
    print(error)
print(sorted(path.name for path in (cache / "images").iterdir() if path.suffix != ".lock"))
"""


def test_a_full_disk_is_seen_before_the_build(tmp_path: Path) -> None:
    """With too little room nothing is downloaded; the message says what there is and what it takes."""
    done = in_a_small_disk(tmp_path, PREAMBLE.format(call="images.ensure"))
    assert done.stderr == ""
    first, hint, left = done.stdout.splitlines()
    assert first.endswith(f"the disk that holds {tmp_path}/images has 0.0 GB free")
    assert "1.5 GB" in hint
    assert left == "[]"


def test_a_full_disk_is_seen_before_the_download(tmp_path: Path) -> None:
    """With too little room for the wheels pip is not run, which would call a full disk a broken connection."""
    done = in_a_small_disk(tmp_path, PREAMBLE.format(call="payload.ensure"))
    assert done.stderr == ""
    first, hint, left = done.stdout.splitlines()
    assert first == f"cannot download the model server: the disk that holds {tmp_path}/images has 0.0 GB free"
    assert "350 MB" in hint
    assert left == "[]"


@pytest.mark.skipif(not debian.is_debian(), reason="apt is Debian's")
def test_apt_says_which_package_it_does_not_know(tmp_path: Path) -> None:
    """What apt says about a package is in the message, and all of its output in the log."""
    log = tmp_path / "apt.log"
    needs = (debian.Need("no-such-command", "wtsctl-no-such-package", "nothing"),)
    with pytest.raises(SandboxError, match="Unable to locate package wtsctl-no-such-package"):
        debian.install(needs, log, tell)
    assert "$ apt-get" in log.read_text()

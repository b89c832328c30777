"""Wheel and sdist as a user gets them: the templates are inside, and rendering works from there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(path.relative_to(ROOT / "templates").as_posix() for path in (ROOT / "templates").glob("*/*.j2"))


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    """Standard output of a program that must succeed."""
    done = subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=ROOT)
    return folder


def wheel_templates(wheel: Path) -> list[str]:
    """The templates in a wheel, by name."""
    prefix = "wtsctl/templates/"
    with zipfile.ZipFile(wheel) as archive:
        names = [name.removeprefix(prefix) for name in archive.namelist() if name.startswith(prefix)]
    return sorted(names)


def test_wheel_renders_from_its_own_templates(built: Path, tmp_path: Path) -> None:
    """An installed wheel has every template and renders what the checkout renders."""
    (wheel,) = built.glob("*.whl")
    assert wheel_templates(wheel) == TEMPLATES
    site = tmp_path / "site"
    run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site), str(wheel),
        cwd=tmp_path,
    )  # fmt: skip
    render = (sys.executable, "-m", "wtsctl", "render", "-f", str(ROOT / "models.yaml"))
    where = run(sys.executable, "-c", "import wtsctl; print(wtsctl.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert where.strip() == str(site / "wtsctl/__init__.py")
    assert run(*render, cwd=tmp_path, PYTHONPATH=str(site)) == run(*render, cwd=ROOT)


def test_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """A wheel that is built from the sdist has the templates as well."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"), cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel_templates(wheel) == TEMPLATES

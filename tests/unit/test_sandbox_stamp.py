"""Which programs in the cache are whole."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from wtsctl.sandbox import stamp

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A cache folder with two programs."""
    built = tmp_path / "built"
    built.mkdir()
    for name in ("a", "b"):
        (built / name).write_bytes(name.encode() * 100)
    stamp.put(tmp_path / "cache", built, ["a", "b"], "go1.26.8")
    return tmp_path / "cache"


def test_what_was_put_is_whole(cached: Path) -> None:
    """Programs that were moved into the cache count, and the stamp says what compiled them."""
    assert stamp.whole(cached) == {"a", "b"}
    assert stamp.toolchain(cached) == "go1.26.8"


def test_a_cut_off_program_is_not(cached: Path) -> None:
    """A program of another size than recorded has to be compiled again; the others need not."""
    with (cached / "a").open("r+b") as handle:
        handle.truncate(50)
    assert stamp.whole(cached) == {"b"}


def test_changed_content_of_the_same_size_is_not(cached: Path) -> None:
    """Where the time differs the content is compared, so damage of any kind is found."""
    (cached / "b").write_bytes(b"x" * 100)
    assert stamp.whole(cached) == {"a"}


def test_a_touched_program_still_is(cached: Path) -> None:
    """A copy or a restored backup has another time and the same content."""
    os.utime(cached / "a", (1, 1))
    assert stamp.whole(cached) == {"a", "b"}


def test_a_missing_program_is_not(cached: Path) -> None:
    """Half of the folder deleted means half of it to compile."""
    (cached / "a").unlink()
    assert stamp.whole(cached) == {"b"}


def test_a_program_without_a_record_is_not(cached: Path) -> None:
    """The record is written last, so a build that was killed before leaves a program without one."""
    shutil.copy(cached / "a", cached / "c")
    assert stamp.whole(cached) == {"a", "b"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"go": "go1.26"}', '{"go": "x", "programs": {"a": 1, "b": {}}}'])
def test_a_damaged_stamp_makes_nothing_whole(cached: Path, text: str) -> None:
    """A stamp that was cut off or is of another shape is no error: everything is compiled again."""
    (cached / stamp.NAME).write_text(text)
    assert stamp.whole(cached) == frozenset()


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    """A folder that does not exist is the usual first state."""
    assert stamp.whole(tmp_path / "none") == frozenset()


def test_a_second_build_adds_to_the_first(cached: Path, tmp_path: Path) -> None:
    """The node's programs join those of the control plane; what is compiled again replaces its record."""
    built = tmp_path / "built"
    (built / "b").write_bytes(b"new")
    (built / "c").write_bytes(b"c")
    stamp.put(cached, built, ["b", "c"], "go1.27.1")
    assert stamp.whole(cached) == {"a", "b", "c"}
    assert json.loads((cached / stamp.NAME).read_text())["programs"]["b"]["size"] == 3
    assert not list(cached.glob(".*")), "no temporary file stays"

"""Has the programs and images of a sandbox in the cache; compiling and building run side by side."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wtsctl.sandbox import build, debian, images, toolchain
from wtsctl.sandbox.images.build import key
from wtsctl.sandbox.imports import IMAGES, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wtsctl.sandbox.layout import Layout
    from wtsctl.sandbox.prepare import Wanted
    from wtsctl.sandbox.progress import Progress

# A compiler that was told to end needs a moment; one that waits for another process's lock is left to end
# with this process.
_CANCEL_SECONDS = 5.0


def images_missing(layout: Layout) -> bool:
    """Whether the node lacks an image, or has it with other content than it should."""
    known = recorded(layout.state / IMAGES)
    return any(known.get(reference) != key() for reference in images.references())


def ensure(layout: Layout, wanted: Wanted, progress: Progress, *, install: bool) -> None:
    """Have the programs and images in the cache.

    Raises:
        SandboxError: something that is needed for it is missing, or it failed.
    """
    assets = {name: path for name, path in wanted.programs.items() if not path.is_relative_to(layout.cache)}
    jobs = build.outstanding(layout.cache, assets, node=wanted.node)
    make_images = wanted.node and images_missing(layout)
    # All that can be known to be missing is said before anything is downloaded.
    required = [debian.Purpose.CONTROL_PLANE]
    required += [debian.Purpose.NODE] if wanted.node else []
    required += [debian.Purpose.COMPILE] if any(job.group.cgo for job in jobs) else []
    if install:
        optional = [debian.Purpose.IMAGES, debian.Purpose.BASE_IMAGE] if make_images else []
        log = layout.cache / "logs" / "packages.log"
        debian.install(debian.missing(*required, *optional), log, progress)
    for purpose in required:
        debian.require(purpose)
    if jobs:
        toolchain.find()
        build.check_room(layout.cache)
    compiler = build.Compiler(layout.cache, progress)
    with _beside(lambda: compiler.compile(assets, node=wanted.node), compiler.cancel):
        if make_images:
            images.ensure(layout.cache, progress)


@contextmanager
def _beside(work: Callable[[], None], cancel: Callable[[], None]) -> Iterator[None]:
    """Do `work` in a thread beside the body; wait for both, and end the work when the body fails."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
        while thread.is_alive():
            # In short waits, so that Ctrl-C gets through.
            thread.join(0.2)
    except BaseException:
        cancel()
        thread.join(_CANCEL_SECONDS)
        raise
    if failures:
        raise failures[0]

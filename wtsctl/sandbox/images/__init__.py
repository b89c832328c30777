"""The container images of the sandbox, built on this machine and cached.

`ensure` returns them as archives, `references` names them without building. `archive.py` has what the archives
are called, `payload.py` downloads what is inside, `base.py` makes the Debian below it, `build.py` runs buildah.
"""

from __future__ import annotations

from wtsctl.sandbox.images.archive import ImageArchive
from wtsctl.sandbox.images.build import ensure, references

__all__ = ["ImageArchive", "ensure", "references"]

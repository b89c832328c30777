"""What commands read before they start: the catalog, and the terminal they answer on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wtsctl.errors import CatalogError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.report.terminal import Terminal

_STDIN = "<stdin>"
# What a catalog can have at most, each character in four bytes. A device or a pipe may have no end.
_MAX_BYTES = 32_000_000


def terminal(*, no_color: bool = False, quiet: bool = False, verbose: int = 0) -> Terminal:
    """The terminal as the shared options ask for it."""
    from wtsctl.report.terminal import Terminal

    return Terminal(color=not no_color, quiet=quiet, verbosity=verbose)


def read_catalog(file: Path, profile: str | None) -> LoadedCatalog:
    """Read and check the catalog that `--file` and `--profile` name; `-` is standard input.

    Raises:
        CatalogError: it cannot be read, or something in it is wrong.
    """
    from wtsctl.catalog.load import load

    name, text = read_text(file)
    return load(text, filename=name, profile=profile)


def read_home(file: Path, profile: str | None) -> tuple[str, str]:
    """The name and `defaults.namespace` of the catalog that `--file` and `--profile` name; the rest may be wrong.

    Raises:
        CatalogError: it cannot be read, or one of the two is missing or wrong.
    """
    from wtsctl.catalog.home import home

    name, text = read_text(file)
    return home(text, filename=name, profile=profile)


def read_text(file: Path) -> tuple[str, str]:
    """What positions call the catalog that `--file` names, and its text; `-` is standard input.

    Raises:
        CatalogError: it cannot be read.
    """
    name, content = (_STDIN, sys.stdin.buffer.read(_MAX_BYTES + 1)) if str(file) == "-" else (str(file), _content(file))
    if len(content) > _MAX_BYTES:
        raise _unreadable(f"larger than {_MAX_BYTES:,} bytes, which no catalog is", name, "is this the right file?")
    try:
        return name, content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        raise _unreadable(message, f"{name}:{line}", "save the file as UTF-8; is it a text file?") from error


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "name the catalog with --file, or run where models.yaml lies"
        raise _unreadable("no such file", str(file), hint) from error
    except IsADirectoryError as error:
        raise _unreadable(
            "a folder, not a file", str(file), f"name the file in it: --file {file}/models.yaml"
        ) from error
    except PermissionError as error:
        raise _unreadable("may not be read", str(file), "check the permissions of the file and its folder") from error
    except OSError as error:
        raise _unreadable(f"cannot be read: {error.strerror or error}", str(file)) from error


def _unreadable(message: str, where: str, hint: str = "") -> CatalogError:
    from wtsctl.catalog.fault import Code

    return CatalogError.of([Problem(Code.FILE, message, where, hint)])


# Files of an overlay that are meant as templates, well spelled or not; a README beside them is nobody's business.
_TEMPLATE_SUFFIXES = {".j2", ".jinja", ".jinja2", ".yaml", ".yml"}


def read_templates(overlay: Path | None, warn: Callable[[str], None] | None = None) -> dict[str, str]:
    """The built-in templates by name (`vllm/deployment.yaml.j2`), with those of `--templates` laid over them.

    Args:
        overlay: the folder of `--templates`.
        warn: is told of each copy of a built-in template that is another one by now.

    Raises:
        UsageError: `overlay` is no folder, or one that cannot be listed.
        TemplateError: a file of it cannot be read, or replaces no built-in template.
    """
    from importlib.resources import files
    from pathlib import Path

    from wtsctl.errors import TemplateError, UsageError
    from wtsctl.render.eject import outdated
    from wtsctl.render.templates import TemplateText, lay_over

    packaged = Path(str(files("wtsctl"))) / "templates"
    # An editable install leaves the folder where it is in the repository: beside the package.
    folder = packaged if packaged.is_dir() else packaged.parent.parent / "templates"
    builtin = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.glob("*/*.j2"))
    }
    if overlay is None:
        return builtin
    try:
        paths = [path for path in _files(overlay) if path.suffix in _TEMPLATE_SUFFIXES]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"--templates: {overlay} is no folder") from error
    except OSError as error:
        raise UsageError(f"--templates: {error.filename}: {error.strerror}") from error
    own: dict[str, str] = {}
    for path in paths:
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise TemplateError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
        except UnicodeDecodeError as error:
            raise TemplateError("not UTF-8", where=str(path), hint="save the file as UTF-8") from error
        own[path.relative_to(overlay).as_posix()] = TemplateText(text, str(path))
    laid = lay_over(builtin, own)
    if warn is not None:
        for name, version in outdated(builtin, own):
            text = f"{overlay / name}: copied from wtsctl {version}, and the template has changed since"
            warn(f"warning: {text}; compare it with `wtsctl templates show {name}`")
    return laid


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, links followed, each folder once.

    Raises:
        OSError: a folder that is not there or cannot be listed: what it holds must not be left out in silence.
    """
    import os
    from pathlib import Path

    def fail(error: OSError) -> None:
        raise error

    seen: set[str] = set()
    for at, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(at)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(at) / name for name in sorted(names))


def seconds(text: str, option: str) -> float:
    """The seconds of a duration such as `90s` that stands on the command line.

    Raises:
        UsageError: it is no duration; the message names the option.
    """
    from wtsctl.catalog.quantity import parse_duration
    from wtsctl.errors import UsageError

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def patience_of(text: str) -> float:
    """The seconds of `--lock-timeout`, which alone may be none at all.

    Raises:
        UsageError: it is no duration.
    """
    return 0.0 if text in {"0", "0s"} else seconds(text, "--lock-timeout")

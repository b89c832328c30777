"""Which models a command is about: names, aliases or globs → workloads."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from wtsctl.catalog.fault import missing_name
from wtsctl.catalog.workload import Workload
from wtsctl.errors import Problem, SelectionError


def select(workloads: Sequence[Workload], patterns: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads that at least one pattern matches, in file order; all of them without patterns.

    A pattern is a name, an alias, or a shell glob over names and aliases (`llama-*`, `?`, `[ab]`); case counts.

    Raises:
        SelectionError: a pattern matches nothing. All such patterns are named, since a typo in a script must not
            pass as "nothing to do".
    """
    if not patterns:
        return tuple(workloads)
    chosen: set[str] = set()
    unmatched: list[Problem] = []
    for pattern in patterns:
        matched = {load.name for load in workloads if any(fnmatchcase(name, pattern) for name in load.names)}
        if not matched:
            hint = missing_name(pattern, [name for load in workloads for name in load.names], "models")
            text = f"no model matches '{pattern}'" if _is_glob(pattern) else f"no model is called '{pattern}'"
            unmatched.append(Problem(SelectionError.code, text, hint=hint))
        chosen |= matched
    if unmatched:
        raise SelectionError.of(unmatched)
    return tuple(load for load in workloads if load.name in chosen)


def _is_glob(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def of_roles(workloads: Sequence[Workload], roles: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads that have one of the roles; all of them without roles.

    Raises:
        SelectionError: a role is nobody's.
    """
    if not roles:
        return tuple(workloads)
    chosen = tuple(load for load in workloads if load.spec.role in roles)
    lacking = [role for role in dict.fromkeys(roles) if all(load.spec.role != role for load in chosen)]
    if lacking:
        known = ", ".join(sorted({load.spec.role for load in workloads}))
        hint = f"there are: {known}" if known else ""
        raise SelectionError.of(
            [Problem(SelectionError.code, f"no model has the role '{role}'", hint=hint) for role in lacking]
        )
    return chosen

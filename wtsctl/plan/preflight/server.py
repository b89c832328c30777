"""Checks of the API server itself: its version, its clock, its kinds, and the namespaces that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wtsctl.plan.preflight.facts import Facts, NotRead, Step
from wtsctl.plan.preflight.record import Check, Record, error, ok, skipped, warning

# The oldest whose API has what is asked of it: strict validation of fields on the server
# (kubernetes/enhancements, KEP-2885, stable in 1.27). Tests run against the newest: wtsctl/sandbox/module/go.mod.
OLDEST, TESTED = (1, 27), (1, 36)
# What clocks that are kept by NTP never come to.
_SKEW_SECONDS = 5.0

VERSION = Check(
    "api-version",
    "api-server",
    "the API server answers, in a version that wtsctl knows",
    "GET /version.",
    f"An error: older than {OLDEST[0]}.{OLDEST[1]}, which does not validate fields strictly, so that a misspelt field "
    "would be dropped in silence. A warning: newer than "
    f"{TESTED[0]}.{TESTED[1]}, the version that wtsctl's tests run against. Between the two it is well, and the "
    "message says that it is not the tested one.",
    "Upgrade the cluster, or wtsctl.",
    "kubernetes/enhancements, KEP-2885 (server-side field validation)",
)
CLOCK = Check(
    "clock",
    "api-server",
    "this machine's clock agrees with the API server's",
    "The Date header of its answers, which has whole seconds.",
    f"A warning: they are more than {_SKEW_SECONDS:g} s apart. Ages of pods and events, how long a cause has lasted, "
    "and whether a lock has expired are told from both.",
    "Keep both clocks by NTP.",
)
KINDS = Check(
    "kinds",
    "api-server",
    "the cluster serves every kind",
    "Aggregated discovery, two requests.",
    "An error: a kind that something in the catalog needs is not served, and no CustomResourceDefinition among the "
    "objects brings it. What is `auto` in the catalog is left out where its kind is not served, and is no error.",
    "Install the operator that the hint names, or choose another runtime for these models.",
)
NAMESPACES = Check(
    "namespaces",
    "namespaces",
    "no namespace is being deleted",
    "Each namespace of the catalog.",
    "An error: it is being deleted, and takes nothing new.",
    "Wait until it is gone. A finalizer may hold it: `kubectl get namespace NAME -o yaml` says which.",
)


def version(facts: Facts) -> Iterator[Record]:
    """Whether the API server is one that wtsctl knows."""
    if isinstance(facts.version, NotRead):
        yield skipped(VERSION, facts.version.why)
        return
    told = str(facts.version.get("gitVersion", ""))
    found = re.match(r"v?(\d+)\.(\d+)", told)
    known = f"wtsctl is made for {_text(OLDEST)} and newer, and tested with {_text(TESTED)}"
    if found is None:
        yield skipped(VERSION, f"the API server calls its version '{told}'")
        return
    running = (int(found[1]), int(found[2]))
    if running < OLDEST:
        yield error(VERSION, f"the API server is {told}; {known}", hint="upgrade the cluster")
    elif running > TESTED:
        yield warning(VERSION, f"the API server is {told}; {known}", hint="look for a newer wtsctl")
    else:
        yield ok(VERSION, f"{told}" if running == TESTED else f"{told}; {known}")


def _text(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"


def clock(facts: Facts) -> Iterator[Record]:
    """Whether both clocks agree."""
    if facts.skew is None:
        yield skipped(CLOCK, "the API server's answers have no Date")
    elif abs(facts.skew) > _SKEW_SECONDS:
        which = "ahead of" if facts.skew > 0 else "behind"
        text = f"this machine's clock is at least {abs(facts.skew):.0f} s {which} the API server's"
        yield warning(CLOCK, text, hint="keep both by NTP; until then ages and durations are off by that")
    else:
        yield ok(CLOCK, f"less than {_SKEW_SECONDS:g} s apart")


def kinds(facts: Facts, steps: Sequence[Step]) -> Iterator[Record]:
    """Whether every kind is served."""
    for (api_version, kind), hint in facts.missing_kinds.items():
        users = [one.model or one.identity for one in steps if (one.doc["apiVersion"], one.kind) == (api_version, kind)]
        needed = ", ".join(dict.fromkeys(users))
        yield error(KINDS, f"the cluster does not know the kind {kind} of {api_version}", f"needed by {needed}", hint)
    if not facts.missing_kinds:
        count = len({(one.doc["apiVersion"], one.kind) for one in steps})
        yield ok(KINDS, f"{count} kinds, all served")


def namespaces(facts: Facts) -> Iterator[Record]:
    """Whether each namespace takes new objects."""
    well: list[str] = []
    for name, item in facts.namespaces.items():
        if isinstance(item, NotRead):
            yield skipped(NAMESPACES, item.why, f"Namespace/{name}")
            continue
        metadata, status = (item or {}).get("metadata") or {}, (item or {}).get("status") or {}
        if "deletionTimestamp" in metadata or status.get("phase") == "Terminating":
            hint = "wait until it is gone, then deploy again"
            yield error(NAMESPACES, "the namespace is being deleted", f"Namespace/{name}", hint)
        else:
            well.append(name if item is not None else f"{name} (not there yet)")
    if well:
        yield ok(NAMESPACES, ", ".join(well))

"""How models are, as a table and as JSON; shared by `deploy` and `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

    from wtsctl.cluster.observe import Evidence
    from wtsctl.health.model import ModelHealth
    from wtsctl.report.terminal import Terminal

_STYLES = {"ready": "green", "failed": "bold red", "absent": "red", "terminating": "red"}
_UNBOUNDED = 10_000
_MESSAGE = 600


def age(created: str, now: datetime) -> float | None:
    """Seconds since an RFC 3339 time; None where there is none."""
    return (now - datetime.fromisoformat(created)).total_seconds() if created else None


def span(seconds: float | None) -> str:
    """A length of time as kubectl writes ages: `42s`, `3m12s`, `5h`, `12d`; `-` for None."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 120:  # noqa: PLR2004
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:  # noqa: PLR2004
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:  # noqa: PLR2004
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // 1440}d"


def phase_text(shown: str) -> Text:
    """A phase in its colour; the word says the same without."""
    from rich.text import Text

    return Text(shown, style=_STYLES.get(shown, "yellow"))


def plain_table() -> Table:
    """A table of columns and nothing else, as kubectl's."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def show_models(terminal: Terminal, healths: Sequence[ModelHealth], endpoints: Mapping[str, str]) -> None:
    """Write a row a model on stdout, with fewer columns where the screen is too narrow for all."""
    console = terminal.console()
    table = _models(healths, endpoints, wide=True)
    if console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum > console.width:
        table = _models(healths, endpoints, wide=False)
    terminal.print(table)


def _models(healths: Sequence[ModelHealth], endpoints: Mapping[str, str], *, wide: bool) -> Table:
    now = datetime.now(UTC)
    table = plain_table()
    names = ("MODEL", "RUNTIME", "PHASE", "PODS", "RESTARTS", "ENDPOINT", "SERVES", "AGE")
    shown = names if wide else ("MODEL", "PHASE", "PODS", "SERVES", "AGE")
    for name in shown:
        table.add_column(name, no_wrap=wide, overflow="fold")
    for one in healths:
        cells: dict[str, str | Text] = {
            "MODEL": one.subject.name,
            "RUNTIME": one.subject.runtime,
            "PHASE": phase_text(one.shown),
            "PODS": f"{one.ready_pods}/{one.wanted}" if one.created else "-",
            "RESTARTS": str(one.restarts) if one.pods else "-",
            "ENDPOINT": _short(endpoints[one.subject.name]),
            "SERVES": _serves(one),
            "AGE": span(age(one.created, now)),
        }
        table.add_row(*(cells[name] for name in shown))
    return table


def _short(url: str) -> str:
    """An in-cluster URL without what every one of them has."""
    return url.removeprefix("http://").replace(".svc.cluster.local", "")


def _serves(health: ModelHealth) -> str:
    if health.answer is None or health.answer.failure:
        return "-"
    ids = [printable(one, 80) for one in health.answer.ids]
    if health.subject.serves in ids and len(ids) > 1:
        # The declared id is the point; the aliases beside it are counted.
        return f"{health.subject.serves} (+{len(ids) - 1})"
    return ", ".join(ids) if len(ids) <= 2 else f"{len(ids)} models"  # noqa: PLR2004


def findings(
    healths: Iterable[ModelHealth], evidence: Mapping[str, Evidence], noticed: Mapping[str, float] | None = None
) -> list[str]:
    """What is not as it should be, a line for the cause and indented ones for its evidence.

    Args:
        healths: of all models; those that are ready are left out.
        evidence: events and logs, by model.
        noticed: seconds from the cluster's word to ours, by model.
    """
    lines: list[str] = []
    noticed = noticed or {}
    for one in healths:
        if one.ready:
            continue
        about = f" (pod {one.pod}{_container(one)})" if one.pod else ""
        text = printable(one.message, _MESSAGE)
        lines.append(f"{one.subject.name}: {printable(one.reason)}{': ' if text else ''}{text}{about}")
        if one.failed and one.chain:
            lines.append(f"    owned by: {' > '.join(printable(owner) for owner in one.chain)}{_alike(one)}")
        if one.subject.name in noticed:
            lines.append(f"    noticed: {noticed[one.subject.name]:.1f} s after the cluster said so")
        found = evidence.get(one.subject.name)
        if found is not None:
            lines += [f"    event: {printable(event, _MESSAGE)}" for event in found.events if text not in event]
            if found.log:
                lines.append(f"    {'previous ' if found.previous else ''}log:")
                lines += [f"      {printable(line, _MESSAGE)}" for line in found.log]
        lines += [f"    hint: {advice}" for advice in [hint(one, found)] if advice]
    return lines


def show_findings(
    terminal: Terminal,
    healths: Sequence[ModelHealth],
    evidence: Mapping[str, Evidence],
    noticed: Mapping[str, float] | None = None,
) -> None:
    """Write the findings on stdout, apart from the table above them; nothing where there are none."""
    lines = findings(healths, evidence, noticed)
    if lines:
        terminal.write("\n" + "".join(f"{line}\n" for line in lines))


def _container(health: ModelHealth) -> str:
    return f", container {health.cause.container}" if health.cause and health.cause.container else ""


def _alike(health: ModelHealth) -> str:
    """How many of the pods have the same cause, where there are several."""
    alike = sum(one.reason == health.reason for one in health.pods)
    return f" ({alike} of {len(health.pods)} pods)" if alike > 1 else ""


def hint(health: ModelHealth, found: Evidence | None = None) -> str:
    """What to do about it, where that is known: by a line of the evidence that is known, else by the reason."""
    subject = health.subject
    if found is not None and found.match:
        return f"{found.match.signature.meaning}: {found.match.signature.advice}"
    if health.reason == "OOMKilled" and health.cause and health.cause.container == "storage-initializer":
        return "KServe's download ran out of memory: raise its limit in KServe's ClusterStorageContainer"
    log = f"kubectl logs -n {subject.namespace} {health.pod}"
    hints = {
        "NotFound": "`wtsctl deploy` makes it",
        "ImagePullBackOff": "check the image's name and tag, and whether the node can reach its registry",
        "ErrImagePull": "check the image's name and tag, and whether the node can reach its registry",
        "ErrImageNeverPull": "the image is not on the node, and may not be pulled",
        "InvalidImageName": "the image's name is not a valid one; see `image` and `defaults.images` in the catalog",
        "CreateContainerConfigError": "make the Secret or ConfigMap that it names",
        "OOMKilled": "raise `resources.limits.memory` in the catalog, or lower `maxModelLen`",
        "CrashLoopBackOff": f"see `{log} --previous`",
        "FailedMount": "make the Secret or ConfigMap that it names",
        "FailedBinding": "name a storage class in the catalog, or make one of the cluster's the default",
        "ProvisioningFailed": "name a storage class that the cluster has and whose driver works",
        "Lost": "delete the claim, and deploy again for a new volume",
        "FailedCreate": "compare the namespace's quota and Pod Security with what the pods ask for",
        "NoToken": f"see `{log}`" if health.pod else "see the log of its pod",
        "Unschedulable": "compare `resources` and `gpus` in the catalog with what the nodes have free",
        "NoAnswer": f"see `{log}`" if health.pod else "see the log of its pod",
        "NotServed": "another server answers behind this Service, or its --served-model-name differs",
        "NotInEndpoints": "compare the Service's selector with the pod's labels",
        "OtherEndpoints": "compare the Service's selector with the labels of those pods",
        # KServe's own: pkg/apis/serving/v1beta1/inference_service_status.go.
        "NoSupportingRuntime": "make a ServingRuntime for `kserve.format`, or name another format in the catalog",
        "RuntimeNotRecognized": "make the ServingRuntime that `kserve.servingRuntime` names, or leave that out",
        "RuntimeDisabled": "enable the ServingRuntime that `kserve.servingRuntime` names, or name another one",
        "InvalidPredictorSpec": "compare `wtsctl render` with the version of KServe that the cluster has",
        "NotReconciled": "is KServe's controller running?",
    }
    return hints.get(health.reason, "")


def model_data(health: ModelHealth, endpoint: str, found: Evidence | None) -> dict[str, Any]:
    """One model as JSON; docs/reference/status-fields.md describes the fields."""
    answer = health.answer
    return {
        "name": health.subject.name,
        "runtime": health.subject.runtime,
        "namespace": health.subject.namespace,
        "phase": health.shown,
        "ready": health.ready,
        "reason": health.reason,
        "message": health.message,
        "hint": "" if health.ready else hint(health, found),
        "signature": found.match.signature.name if found and found.match else "",
        "owners": list(health.chain),
        "pods": {
            "ready": health.ready_pods,
            "wanted": health.wanted,
            "restarts": health.restarts,
            "items": [
                {
                    "name": one.name,
                    "phase": "failed" if one.cause else one.phase.value,
                    "ready": one.ready,
                    "restarts": one.restarts,
                    "reason": one.reason,
                    "message": one.message,
                    "container": one.cause.container if one.cause else "",
                }
                for one in health.pods
            ],
        },
        "endpoint": endpoint,
        "serves": list(answer.ids) if answer and not answer.failure else None,
        "endpointError": answer.failure if answer else "",
        "created": health.created or None,
        "events": list(found.events) if found else [],
        "log": list(found.log) if found else [],
    }

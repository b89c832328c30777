"""`delete` looks for every kind that wtsctl renders; a kind that it does not know would stay in the cluster."""

from __future__ import annotations

from tests.cluster.every_option import CASES
from wtsctl.cluster.found import ALWAYS, CLUSTER_KINDS, KINDS


def test_every_rendered_kind_is_looked_for() -> None:
    """Of all catalogs that use everything, each kind is found, but for namespaces and `extra`, which are found else."""
    rendered = {
        (one.api_version, one.kind)
        for case in CASES
        for one in case.manifests()
        if one.kind != "Namespace" and one.template != "extra" and not one.partial
    }
    known = {*KINDS, *CLUSTER_KINDS, *((kind.api_version, kind.kind) for kind in ALWAYS)}
    assert len(rendered) > 20
    assert rendered - known == set()
    assert known - rendered == set()

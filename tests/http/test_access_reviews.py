"""How many questions about our rights are asked, and what is made of the answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from werkzeug import Request, Response

from wtsctl.cluster.access import Access
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.plan.preflight.facts import NotRead
from wtsctl.plan.preflight.rights import Right

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_httpserver import HTTPServer


class Reviews:
    """An API server that answers reviews, and counts them by kind."""

    def __init__(self, httpserver: HTTPServer, folder: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.rules: list[dict[str, Any]] = []
        self.allows: Callable[[dict[str, str]], bool] = lambda _: False
        self.status = 201
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(document))
        self._kubeconfig = folder / "kubeconfig"
        for kind in ("selfsubjectaccessreviews", "selfsubjectrulesreviews"):
            path = f"/apis/authorization.k8s.io/v1/{kind}"
            httpserver.expect_request(path, method="POST").respond_with_handler(self._answer)

    def lacking(self, *wanted: Right) -> list[Right] | NotRead:
        """What a new client is told."""
        self.asked.clear()
        return Access(Client(connect(self._kubeconfig))).lacking(wanted)

    def named(self, *wanted: Right) -> list[Right]:
        """The same where the server has said something."""
        found = self.lacking(*wanted)
        assert isinstance(found, list)
        return found

    def _answer(self, request: Request) -> Response:
        kind = request.path.rpartition("/")[2]
        self.asked[kind] += 1
        if self.status != 201:
            body: dict[str, Any] = {"kind": "Status", "reason": "Forbidden", "message": "no reviews for you"}
        elif kind == "selfsubjectrulesreviews":
            body = {"kind": "SelfSubjectRulesReview", "status": {"resourceRules": self.rules, "incomplete": True}}
        else:
            allowed = self.allows(request.get_json()["spec"]["resourceAttributes"])
            body = {"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}
        return Response(json.dumps(body), self.status, content_type="application/json")


@pytest.fixture
def reviews(httpserver: HTTPServer, tmp_path: Path) -> Reviews:
    """The server of the test."""
    return Reviews(httpserver, tmp_path)


def makes(count: int) -> list[Right]:
    """The rights to make so many Deployments in two namespaces."""
    return [
        Right(verb, "apps", "deployments", space, f"m{at}")
        for at in range(count)
        for verb in ("create", "patch")
        for space in ("one", "two")
    ]


def test_who_may_do_everything_is_asked_once(reviews: Reviews) -> None:
    """One review of `*` on `*`, however many rights are needed."""
    reviews.allows = lambda one: one == {"verb": "*", "group": "*", "resource": "*"}
    assert reviews.lacking(*makes(100)) == []
    assert reviews.asked == {"selfsubjectaccessreviews": 1}


def test_what_rules_grant_is_not_asked_for(reviews: Reviews) -> None:
    """The rules of each namespace are enough where they grant it; not for what lies in no namespace."""
    reviews.rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    node = Right("list", "", "nodes", "")
    assert reviews.lacking(*makes(100), node) == [node]
    assert reviews.asked == {"selfsubjectaccessreviews": 2, "selfsubjectrulesreviews": 2}


def test_what_rules_leave_out_is_asked_for(reviews: Reviews) -> None:
    """Rules may be incomplete: what they do not grant may be granted all the same, on the kind or on an object."""
    reviews.allows = lambda one: one["namespace"] == "one" if "namespace" in one else False
    assert {one.namespace for one in reviews.named(*makes(2))} == {"two"}
    reviews.allows = lambda one: one.get("name") == "m1"
    assert {one.name for one in reviews.named(*makes(3))} == {"m0", "m2"}


def test_the_questions_do_not_grow_with_the_objects(reviews: Reviews) -> None:
    """Who has no right at all is asked about the kinds, and about twenty objects of each; the rest is lacking too."""
    assert len(reviews.named(*makes(25))) == 100
    few = reviews.asked.copy()
    assert len(reviews.named(*makes(500))) == 2000
    assert reviews.asked == few


def test_a_server_that_does_not_say(reviews: Reviews) -> None:
    """Where reviews are refused nothing is known, and that is not an error."""
    reviews.status = 403
    found = reviews.lacking(*makes(1))
    assert isinstance(found, NotRead)
    assert "no reviews for you" in found.why

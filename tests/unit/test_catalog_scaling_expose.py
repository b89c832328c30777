"""What models.yaml says about autoscaling and about ways in from outside: which keys fit together."""

from __future__ import annotations

import pytest

from tests.catalogs import SMALL, STACK, changed, complaint, loaded

PROMETHEUS = ("name: small\n", "name: small\nplatform: {monitoring: {prometheus: 'http://prometheus:9090'}}\n")
ROLE = "role: code"


def granite(line: str, *more: tuple[str, str], text: str = SMALL) -> str:
    """The small catalog with a Prometheus, and a further line for its first model."""
    return changed(PROMETHEUS, (ROLE, f"{ROLE}\n  {line}"), *more, text=text)


RIGHT = {
    "from one pod": "autoscale: {max: 3}",
    "from none": "autoscale: {min: 0, max: 3, activation: up, cooldown: 30m}",
    "by an adapter": "autoscale: {max: 3, by: hpa, metric: waiting}",
    "a Route": "expose: {kind: Route}",
    "a Route without TLS": "expose: {kind: Route, tls: {enabled: false}}",
    "an Ingress": "expose: {kind: Ingress, host: a.example.com, tls: {secret: a}}",
    "a route of a Gateway": "expose: {kind: HTTPRoute, gateway: {name: public}}",
}


@pytest.mark.parametrize("line", RIGHT.values(), ids=RIGHT)
def test_what_fits_is_taken(line: str) -> None:
    """Each way to scale, and each way in."""
    loaded(granite(line))


WRONG = {
    "min above max": ("autoscale: {min: 4, max: 3}", "min (4) is more than max (3)"),
    "an adapter from none": (
        "autoscale: {min: 0, max: 3, by: hpa}",
        "a HorizontalPodAutoscaler cannot start from no pods",
    ),
    "from none by what only pods tell": (
        "autoscale: {min: 0, max: 3}",
        "min: 0 needs `activation`: at no pods nothing waits, so nothing would start one",
    ),
    "activation of what is always there": (
        "autoscale: {max: 3, activation: up}",
        "`activation` has no effect without min: 0",
    ),
    "an interval that is the cluster's": (
        "autoscale: {max: 3, by: hpa, poll: 5s}",
        "`poll` has no effect with by: hpa",
    ),
    "a metric that is not asked for": ("autoscale: {max: 3, metric: m}", "`metric` has no effect with by: keda"),
    "stopped before it is loaded": (
        "autoscale: {min: 0, max: 3, activation: up, cooldown: 5m}",
        "models[0].autoscale.cooldown: the last pod would be stopped after 5m, before it has loaded (900s)",
    ),
    "longer than Kubernetes waits": (
        "autoscale: {max: 3, cooldown: 2h}",
        "models[0].autoscale.cooldown: expected at most 1h, which Kubernetes allows, got 2h",
    ),
    "two numbers of pods": (
        "replicas: 2\n  autoscale: {max: 3}",
        "models[0].replicas: has no effect with autoscale, which sets the number of pods",
    ),
    "TLS without a name": ("expose: {kind: Ingress}", "an Ingress with TLS needs `host`"),
    "TLS that the Gateway has": (
        "expose: {kind: HTTPRoute, gateway: {name: public}, tls: {enabled: true}}",
        "`tls` of an HTTPRoute is that of its Gateway's listener",
    ),
    "a certificate of a Route": (
        "expose: {kind: Route, tls: {secret: a}}",
        "`tls.secret` belongs to kind Ingress, and this is of kind Route",
    ),
    "termination of an Ingress": (
        "expose: {kind: Ingress, host: a.example.com, tls: {termination: edge}}",
        "`tls.termination` belongs to kind Route, and this is of kind Ingress",
    ),
    "no TLS, and how": (
        "expose: {kind: Route, tls: {enabled: false, termination: edge}}",
        "`tls.enabled: false` leaves nothing for the other keys of `tls`",
    ),
}


@pytest.mark.parametrize(("line", "expected"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(line: str, expected: str) -> None:
    """A key that would not be heeded, or that the cluster would refuse, is named."""
    assert expected in complaint(granite(line))


def test_somebody_has_to_be_asked() -> None:
    """KEDA needs the address of Prometheus; an adapter for custom metrics knows its own."""
    text = changed((ROLE, f"{ROLE}\n  autoscale: {{max: 3}}"), text=SMALL)
    assert "models[0].autoscale: no Prometheus to ask for waiting requests" in complaint(text)
    loaded(changed((ROLE, f"{ROLE}\n  autoscale: {{max: 3, by: hpa}}"), text=SMALL))


TOKENS = {
    "none": ("{}", "expected either serviceAccount or secret"),
    "both": ("{serviceAccount: a, secret: b}", "expected either serviceAccount or secret"),
    "a key of nothing": ("{serviceAccount: a, key: token}", "`key` and `caKey` belong to `secret`"),
}


@pytest.mark.parametrize(("token", "expected"), TOKENS.values(), ids=TOKENS)
def test_a_token_has_one_source(token: str, expected: str) -> None:
    """The token for Prometheus is of a ServiceAccount, or in a Secret."""
    where = ("prometheus: 'http://prometheus:9090'", f"prometheus: 'http://prometheus:9090', prometheusToken: {token}")
    assert expected in complaint(granite("autoscale: {max: 3}", where))


SAME = {
    "one host": ("{kind: Ingress, host: a.example.com}", "{kind: Route, host: a.example.com}", "a.example.com/v1"),
    "no host": (
        "{kind: Ingress, tls: {enabled: false}}",
        "{kind: Ingress, tls: {enabled: false}}",
        "of any host/v1",
    ),
    "one Gateway": (
        "{kind: HTTPRoute, gateway: {name: public}}",
        "{kind: HTTPRoute, gateway: {name: public}}",
        "of any host/v1",
    ),
}


@pytest.mark.parametrize(("one", "other", "address"), SAME.values(), ids=SAME)
def test_an_address_is_given_once(one: str, other: str, address: str) -> None:
    """Of two models under one address only one would answer."""
    text = granite(f"expose: {one}", ("role: safety", f"role: safety\n  expose: {other}"))
    said = complaint(text)
    assert f"models[2].expose: its address {address} is already that of models[0] (granite-8b)" in said


def test_addresses_that_differ_are_taken() -> None:
    """Hosts of their own, paths of their own, Gateways of their own, and Routes, whose hosts the cluster makes."""
    text = SMALL + STACK
    loaded(
        granite(
            "expose: {kind: Route}",
            ("role: chat", "role: chat\n  expose: {kind: Route}"),
            ("role: safety", "role: safety\n  expose: {kind: HTTPRoute, gateway: {name: a}}"),
            ("namespace: llama-stack", "namespace: llama-stack\n  expose: {kind: HTTPRoute, gateway: {name: b}}"),
            text=text,
        )
    )

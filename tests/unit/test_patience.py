"""When a request is sent again: for each way not to be answered, how often, how long, and what is left in doubt."""

from __future__ import annotations

import pytest

from wtsctl.cluster.patience import PATIENCE_SECONDS, Attempts, Broken, Contact, wanted_pause

NOW = {"Date": "Mon, 23 Nov 2026 20:00:00 GMT"}


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("Mon, 23 Nov 2026 20:00:07 GMT", 7.0),
        ("Mon, 23 Nov 2026 19:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("99 Foo 2026", None),
    ],
)
def test_both_forms_of_retry_after(header: str, wanted: float | None) -> None:
    """Seconds, or a date by the sender's own clock; what is neither is as if nothing had been said."""
    assert wanted_pause(NOW | {"Retry-After": header}) == wanted


def test_no_retry_after() -> None:
    """Without the header nothing is asked for."""
    assert wanted_pause({}) is None


def spent(attempts: Attempts, status: int, retry_after: float | None = None, *, doubt: bool = False) -> list[float]:
    """The pauses until the same answer, again and again, stands."""
    pauses: list[float] = []
    while (pause := attempts.answered(status, retry_after, doubt=doubt)) is not None:
        pauses.append(pause)
        assert len(pauses) < 100
    return pauses


@pytest.mark.parametrize(
    ("status", "retry_after", "repeatable", "least", "most"),
    [
        (429, None, True, 6, 9),
        (429, None, False, 6, 9),
        (429, 1, True, 5, 9),
        (429, 20, True, 1, 1),
        (429, 31, True, 0, 0),
        (503, None, True, 6, 9),
        (503, None, False, 0, 0),
        (503, 1, False, 5, 9),
        (500, None, True, 3, 3),
        (500, 1, True, 5, 9),
        (500, None, False, 0, 0),
        (502, None, True, 6, 9),
        (504, None, False, 0, 0),
        (200, None, True, 0, 0),
        (403, None, True, 0, 0),
        (409, None, True, 0, 0),
    ],
)
def test_tries_are_bounded(status: int, retry_after: float | None, repeatable: bool, least: int, most: int) -> None:
    """Each answer is tried again so often at most, within half a minute, and no sooner than the server wants."""
    for _ in range(50):
        pauses = spent(Attempts(repeatable, known=True), status, retry_after)
        assert least <= len(pauses) <= most
        assert sum(pauses) <= PATIENCE_SECONDS * 1.25
        assert all(pause >= (retry_after or 0.1) for pause in pauses)


@pytest.mark.parametrize(
    ("how", "repeatable", "known", "tries", "doubt"),
    [
        (Broken.UNREACHED, True, True, range(6, 10), False),
        (Broken.UNREACHED, False, True, range(6, 10), False),
        (Broken.UNREACHED, True, False, range(1), False),
        (Broken.CUT, True, True, range(6, 10), True),
        (Broken.CUT, True, False, range(4, 7), True),
        (Broken.CUT, False, True, range(1), True),
        (Broken.SLOW, True, True, range(1, 2), True),
        (Broken.SLOW, False, True, range(1), True),
    ],
)
def test_what_no_answer_means(how: Broken, repeatable: bool, known: bool, tries: range, doubt: bool) -> None:
    """A server that is gone is waited for where it was there; what may have been done is sent again only where safe."""
    attempts, count = Attempts(repeatable, known), 0
    while attempts.failed(how) is not None:
        count += 1
        assert count < 100
    assert count in tries
    assert attempts.doubt is doubt


def test_a_busy_server_leaves_no_doubt() -> None:
    """429 and 503 say that nothing was done; a gateway that lost the server leaves it open for good."""
    attempts = Attempts(repeatable=True, known=True)
    spent(attempts, 429)
    assert not attempts.doubt
    attempts.answered(502, None, doubt=True)
    attempts.answered(429, None, doubt=False)
    assert attempts.doubt


def test_losing_and_finding_a_server_is_said_once() -> None:
    """Of all requests that wait the first one says so, and the first answer that it is over."""
    said: list[str] = []
    contact = Contact("https://api:6443", said.append)
    contact.answered()
    assert said == []
    for _ in range(3):
        contact.waits()
    contact.answered()
    contact.answered()
    assert len(said) == 2
    assert "https://api:6443 is gone; waiting for it for up to 30 s" in said[0]
    assert "answers again" in said[1]


def test_nobody_waits_twice() -> None:
    """Once a request has waited in vain the server counts as one that never answered, until it does."""
    contact = Contact("https://api:6443", lambda _: None)
    contact.answered()
    assert contact.known
    contact.waits()
    contact.gave_up()
    assert not contact.known
    contact.answered()
    assert contact.known

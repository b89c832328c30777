"""Whether a request is sent again, and when: what a server that is busy, breaks off or is restarted gets from us.

The same for every request. 429 and 503 say that nothing was done; 500, 502, 504, a connection that breaks and an answer
that does not come leave that open, so that only what does no more when sent twice is sent again after them. A server
that cannot be reached at all is waited for where it has answered before.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE_SECONDS = 30.0
"""How long one request waits in all for a server that says "later", or is being restarted."""
FIRST_DELAY, LONGEST_DELAY = 0.25, 8.0
# What may have been a moment's trouble, such as etcd choosing a leader or the pod of a webhook that is restarted,
# and what a server that has never answered gets.
_ERRORS, _STRANGERS_SECONDS = 3, 10.0
# An API server that is too slow for the first is often too slow for the second as well.
_TIMEOUTS = 1
_FORBIDDEN, _BUSY, _UNAVAILABLE = 403, 429, 503
# For how long a server that is back may still forbid what it allows: it listens before it has read its roles. Measured
# with Kubernetes 1.36: 0.1 to 0.3 s.
_FRESH_SECONDS = 5.0
_NOT_NOW = frozenset({500, 502, _UNAVAILABLE, 504})


class Broken(Enum):
    """How a request got no answer."""

    UNREACHED = auto()
    """There was no connection: nothing was sent."""
    CUT = auto()
    """The connection ended before the answer did."""
    SLOW = auto()
    """No answer came in time."""


@dataclass(slots=True)
class Attempts:
    """The tries of one request.

    Attributes:
        repeatable: whether sending it twice does no more than sending it once.
        known: whether this server has answered before.
        doubt: whether one of the tries may have been carried out, though no answer said so.
    """

    repeatable: bool
    known: bool
    doubt: bool = False
    _waited: float = 0.0
    _delay: float = FIRST_DELAY
    _errors: int = 0
    _timeouts: int = 0

    def answered(self, status: int, retry_after: float | None, *, doubt: bool, fresh: bool = False) -> float | None:
        """Seconds until it is sent again after an answer; None: this answer stands.

        Args:
            status: the HTTP status.
            retry_after: how long the server wants us to wait; None where it does not say.
            doubt: whether it leaves open what was done.
            fresh: whether the server has just been started.
        """
        self.doubt = self.doubt or doubt
        if status == _FORBIDDEN and fresh:
            return self._once_more()
        if status == _BUSY or (status == _UNAVAILABLE and retry_after is not None):
            return self._pause(retry_after or 0.0, PATIENCE_SECONDS)
        if status not in _NOT_NOW:
            return None
        if not self.repeatable:
            return None
        if status == 500 and retry_after is None:  # noqa: PLR2004
            return self._once_more()
        return self._pause(retry_after or 0.0, PATIENCE_SECONDS)

    def failed(self, how: Broken) -> float | None:
        """Seconds until it is sent again where no answer came; None: it is not."""
        if how is Broken.UNREACHED:
            return self._pause(0.0, PATIENCE_SECONDS) if self.known else None
        self.doubt = True
        if not self.repeatable:
            return None
        if how is Broken.SLOW:
            self._timeouts += 1
            return 0.0 if self._timeouts <= _TIMEOUTS else None
        return self._pause(0.0, PATIENCE_SECONDS if self.known else _STRANGERS_SECONDS)

    def _once_more(self) -> float | None:
        self._errors += 1
        return self._pause(0.0, PATIENCE_SECONDS) if self._errors <= _ERRORS else None

    def _pause(self, at_least: float, patience: float) -> float | None:
        if self._waited + max(self._delay, at_least) > patience:
            return None
        # Spread out, so that the requests of one stage do not come back all at once.
        pause = max(self._delay * random.uniform(0.75, 1.25), at_least)  # noqa: S311
        self._waited, self._delay = self._waited + pause, min(self._delay * 2, LONGEST_DELAY)
        return pause


def wanted_pause(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for, in seconds; None where it is not there or neither of its two forms.

    Seconds, which is what API servers send, or a date, which what stands in front of one may send:
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        # Against the sender's own clock, where it says what that is: ours may be wrong.
        then, sent = parsedate_to_datetime(text), headers.get("Date")
        now = parsedate_to_datetime(sent).timestamp() if sent else time.time()
        return max(0.0, then.timestamp() - now)
    except (ValueError, OverflowError):
        return None


class Contact:
    """Whether the server answers, as all requests of a process together know it; safe to use from several threads.

    Args:
        host: the server's address, for messages.
        told: hears when the server is waited for, and when it answers again.
    """

    def __init__(self, host: str, told: Callable[[str], None]) -> None:
        self._host, self._told = host, told
        self._lock = threading.Lock()
        self._known = False
        self._lost: float | None = None
        self._back: float | None = None
        self._hurry = threading.Event()

    @property
    def known(self) -> bool:
        """Whether the server has answered, so that it is worth waiting for."""
        return self._known

    @property
    def fresh(self) -> bool:
        """Whether the server was gone a moment ago."""
        return self._back is not None and time.monotonic() - self._back < _FRESH_SECONDS

    @property
    def hurried(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._hurry.is_set()

    def hurry(self) -> None:
        """Wait for nothing any more, because someone wants to leave."""
        self._hurry.set()

    def sleep(self, seconds: float) -> None:
        """Wait, unless there is a hurry."""
        self._hurry.wait(seconds)

    def answered(self) -> None:
        """The server has answered something."""
        with self._lock:
            self._known, lost, self._lost = True, self._lost, None
        if lost is not None:
            self._back = time.monotonic()
            self._told(f"the API server answers again, after {time.monotonic() - lost:.0f} s")

    def waits(self) -> None:
        """A request cannot reach the server, and waits for it."""
        with self._lock:
            first, self._lost = self._lost is None, self._lost or time.monotonic()
        if first:
            text = f"the API server {self._host} is gone; waiting for it for up to {PATIENCE_SECONDS:.0f} s"
            self._told(text)

    def gave_up(self) -> None:
        """A request has waited long enough: others need not."""
        with self._lock:
            self._known, self._lost = False, None

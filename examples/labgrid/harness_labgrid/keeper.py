"""The process that holds one place: `python -m harness_labgrid.keeper WISH`, lines of JSON on standard output.

It ends when its standard input closes, which the kernel does for a job that was killed; then it gives the place back,
trying again where the coordinator is away. A lock on a file of the user's state folder says that job or keeper lives: a
place that this PC holds under a name whose lock is free was left by both, and is freed at the next start.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

POLL_S = 1.0
CONNECT_S = 5.0
TRY_AGAIN_S = 2.0
GIVE_UP_S = 3600.0  # of releasing at a coordinator that is away; one that restarts has forgotten the place by itself


class Refusal(Exception):
    """Why a place is not held: `kind` is "in use", "usage" or "host"."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind, self.hint = kind, hint


class JobIsGone(Exception):
    """Standard input has closed."""


def say(**answer: Any) -> None:
    """One line; nobody may be left to read it."""
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def stay(seconds: float) -> None:
    """Errors: JobIsGone."""
    ends_at = time.monotonic() + seconds
    while (left_s := ends_at - time.monotonic()) > 0:
        if select.select([0], [], [], left_s)[0] and not os.read(0, 4096):
            raise JobIsGone


# ---- which of this PC's keepers live


@contextmanager
def alive(folder: Path, user: str) -> Iterator[Path]:
    """The file of a name, locked for as long as one of the job and its keeper lives."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / user
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield path


def is_left_behind(folder: Path, host: str, name: str) -> bool:
    """Whether a name (`HOST/USER`) is one of this PC whose job and keeper were both killed."""
    own, _, user = name.partition("/")
    path = folder / user
    if own != host or not user.startswith("harness-") or "/" in user or not path.is_file():
        return False
    with suppress(OSError), path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


# ---- one place


class Place:
    """The place of one wish, at a coordinator that may come and go."""

    def __init__(self, wish: dict[str, Any]) -> None:
        self.name, self.wish, self.folder = str(wish["place"]), wish, Path(wish["state"])
        self.host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
        self.user = f"{self.host}/{wish['user']}"
        self.session: Any = None

    def connect(self) -> None:
        from harness_labgrid.coordinator import Coordinator

        if self.session is not None:
            self.session.close()
        self.session = None
        self.session = Coordinator(self.wish["coordinator"], self.user, CONNECT_S)

    @property
    def holder(self) -> str:
        """Who has it, as the coordinator last published. Errors: Refusal where there is no such place."""
        if self.name not in self.session.places:
            near = get_close_matches(self.name, list(self.session.places), n=1)
            known = ", ".join(sorted(self.session.places)[:10]) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"its places: {known}"
            raise Refusal("usage", f"the coordinator at {self.wish['coordinator']} has no place {self.name!r}", hint)
        return str(self.session.places[self.name].acquired)

    def free_what_was_left(self) -> None:
        """Places and reservations of keepers of this PC that were killed."""
        if is_left_behind(self.folder, self.host, self.holder):
            left = self.holder
            for one in list(self.session.reservations()):
                if one.owner == left:
                    self.session.cancel(one.token)
            self.session.release(self.name, left)
            (self.folder / left.partition("/")[2]).unlink(missing_ok=True)
            self.session.sync()

    def take(self, wait_s: float) -> None:
        """Acquire, in the order of reservations. Errors: Refusal, JobIsGone."""
        from harness_labgrid.coordinator import CoordinatorError

        self.free_what_was_left()
        ends_at = time.monotonic() + wait_s
        token = self._queued()
        try:
            while token and self.session.poll(token).state != ALLOCATED:
                self._wait(ends_at)
            while True:
                try:
                    self.session.acquire(self.name)
                    break
                except CoordinatorError as error:
                    if not error.refused:
                        raise
                    self._wait(ends_at, str(error))
        finally:
            if token:
                with suppress(CoordinatorError):
                    self.session.cancel(token)  # it held our turn; kept, it would keep others away for a minute
        self.session.sync()

    def _queued(self) -> str:
        """The token of a reservation; "" where the place's name cannot be a filter."""
        from harness_labgrid.coordinator import CoordinatorError

        try:
            return str(self.session.reserve(self.name).token)
        except CoordinatorError as error:
            if error.refused != "INVALID_ARGUMENT":
                raise
            return ""

    def _wait(self, ends_at: float, why: str = "") -> None:
        holder = self.holder
        words = f"place {self.name} is held by {holder}" if holder else why or f"place {self.name} is reserved"
        if time.monotonic() >= ends_at:
            raise Refusal("in use", words, "wait for it with --wait SECONDS, or ask the holder")
        say(waiting=words)
        stay(min(POLL_S, max(0.05, ends_at - time.monotonic())))

    def network(self) -> dict[str, Any]:
        """How its board is reached, for the answer."""
        from harness_labgrid.coordinator import values_of

        services = {}
        for path in self.session.places[self.name].acquired_resources:
            exporter, group, kind, resource = path.split("/", 3)
            known = self.session.resources.get(f"{exporter}/{group}/{resource}")
            wanted = self.wish["resource"] in ("", resource, group, path)
            if known is not None and kind == "NetworkService" and wanted:
                services[path] = values_of(known.params) | {"extra": values_of(known.extra)}
        if len(services) != 1:
            which = f"has {len(services)} of NetworkService" + (f": {', '.join(sorted(services))}" if services else "")
            choose = "; choose one by `resource:`" if services else ""
            return {"no_network": f"place {self.name} {which}{choose}", "several": bool(services)}
        return {"network": _reached(next(iter(services.values())))}

    def keep(self) -> str:
        """Until the job ends; gives why the place was lost, "" where it was not.

        A coordinator that restarts forgets who has what: the place is taken again, unless somebody was quicker.
        """
        from harness_labgrid.coordinator import CoordinatorError

        lost = ""
        with suppress(JobIsGone):
            while True:
                stay(POLL_S)
                try:
                    if self.session is None or self.session.is_gone.is_set():
                        self.connect()
                    if self.holder != self.user and not lost:
                        lost = self._retake()
                except CoordinatorError:
                    stay(TRY_AGAIN_S)
                except Refusal as error:
                    lost = str(error)
        return lost

    def _retake(self) -> str:
        from harness_labgrid.coordinator import CoordinatorError

        try:
            if not self.holder:
                self.session.acquire(self.name)
                self.session.sync()
        except CoordinatorError as error:
            if not error.refused:
                raise
        return "" if self.holder == self.user else f"place {self.name} was taken by {self.holder or 'nobody'}"

    def give_back(self) -> None:
        """However long the coordinator is away, up to GIVE_UP_S."""
        from harness_labgrid.coordinator import CoordinatorError

        ends_at = time.monotonic() + GIVE_UP_S
        while time.monotonic() < ends_at:
            try:
                if self.session is None or self.session.is_gone.is_set():
                    self.connect()
                self.session.release(self.name)
                return
            except CoordinatorError as error:
                if error.refused:
                    return
            time.sleep(TRY_AGAIN_S)


def _reached(service: dict[str, Any]) -> dict[str, Any]:
    """Address, port and user of a NetworkService, and the exporter's PC where one has to go through it."""
    extra = service.pop("extra")
    jump = extra.get("proxy", "") if extra.get("proxy_required") else ""
    return {key: service.get(key) for key in ("address", "port", "username")} | {"jump": jump}


ALLOCATED = 1  # of labgrid's ReservationState


def hold(place: Place) -> str:
    """The whole life of one place. Errors: Refusal, JobIsGone."""
    from harness_labgrid.coordinator import CoordinatorError

    try:
        place.connect()
    except CoordinatorError as error:
        raise Refusal("host", str(error), "is it running? its address: `managed: {coordinator: HOST:PORT}`") from error
    try:
        try:
            place.take(float(place.wish["wait_s"]))
        except CoordinatorError as error:
            raise Refusal("host", str(error)) from error
        say(held=place.user, **place.network())
        return place.keep()
    finally:
        place.give_back()


def main() -> None:
    """Errors become an answer; the exit code says nothing."""
    wish = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # meant for the job, whose end closes the pipe
        signal.signal(number, signal.SIG_IGN)
    try:
        import harness_labgrid.coordinator  # noqa: F401
    except ImportError as error:
        say(error=f"labgrid cannot be loaded: {error}", kind="host", hint="pip install labgrid")
        return
    with alive(Path(wish["state"]), wish["user"]) as path:
        try:
            lost = hold(Place(wish))
            say(ended="lost" if lost else "given back", why=lost)
        except Refusal as error:
            say(error=str(error), kind=error.kind, hint=error.hint, ended="refused")
        except JobIsGone:
            pass
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

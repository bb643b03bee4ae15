"""What a labgrid coordinator is asked, over gRPC: places, their resources, acquiring, releasing, reserving.

The only file that imports labgrid (LGPL-2.1): its generated messages, not its client, whose asyncio loop and exits are
for a command line. Only keeper.py's process loads it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
from labgrid.remote.generated import labgrid_coordinator_pb2_grpc as services

CALL_S = 10.0
# As labgrid's own client: a coordinator that is gone is noticed within 20 s.
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own: the coordinator knows sessions by theirs
    ("grpc.keepalive_time_ms", 7500),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.http2.ping_timeout_ms", 10000),
]


class CoordinatorError(Exception):
    """The coordinator cannot be reached, or refuses; `refused` is the gRPC code's name where it answered."""

    def __init__(self, message: str, refused: str = "") -> None:
        super().__init__(message)
        self.refused = refused


class Coordinator:
    """One session under one name (`HOST/USER`). `places` and `resources` follow what the coordinator publishes."""

    def __init__(self, address: str, name: str, connect_s: float = CALL_S) -> None:
        self.address, self.name = address, name
        self.places: dict[str, Any] = {}
        self.resources: dict[str, Any] = {}
        self.is_gone = threading.Event()
        self._synced = threading.Event()
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._stub = services.CoordinatorStub(self._channel)
        try:
            grpc.channel_ready_future(self._channel).result(connect_s)
        except grpc.FutureTimeoutError:
            self.close()
            raise CoordinatorError(f"the coordinator at {address} does not answer") from None
        self._say(messages.ClientInMessage(startup=messages.StartupDone(version="harness", name=name)))
        self._say(messages.ClientInMessage(subscribe=messages.Subscribe(all_places=True)))
        self._say(messages.ClientInMessage(subscribe=messages.Subscribe(all_resources=True)))
        threading.Thread(target=self._listen, daemon=True).start()
        self.sync()

    def _say(self, message: Any) -> None:
        self._outgoing.put(message)

    def _listen(self) -> None:
        try:
            for answer in self._stub.ClientStream(iter(self._outgoing.get, None)):
                for update in answer.updates:
                    self._learn(update)
                if answer.HasField("sync"):
                    self._synced.set()
        except grpc.RpcError:
            pass
        finally:
            self.is_gone.set()
            self._synced.set()

    def _learn(self, update: Any) -> None:
        kind = update.WhichOneof("kind")
        if kind == "place":
            self.places[update.place.name] = update.place
        elif kind == "del_place":
            self.places.pop(update.del_place, None)
        elif kind == "resource":
            self.resources[_path(update.resource.path)] = update.resource
        elif kind == "del_resource":
            self.resources.pop(_path(update.del_resource), None)

    def sync(self) -> None:
        """Until everything that the coordinator had published by now is known. Errors: CoordinatorError."""
        self._synced.clear()
        self._say(messages.ClientInMessage(sync=messages.Sync(id=1)))
        if not self._synced.wait(CALL_S) or self.is_gone.is_set():
            raise CoordinatorError(f"the coordinator at {self.address} broke off")

    def _call(self, name: str, request: Any) -> Any:
        try:
            return getattr(self._stub, name)(request, timeout=CALL_S)
        except grpc.RpcError as error:
            code = error.code().name  # type: ignore[attr-defined]  # grpc's calls are errors, too
            words = error.details() or code  # type: ignore[attr-defined]
            is_away = code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
            raise CoordinatorError(words, "" if is_away else code) from None

    def acquire(self, place: str) -> None:
        """Errors: CoordinatorError."""
        self._call("AcquirePlace", messages.AcquirePlaceRequest(placename=place))

    def release(self, place: str, name: str = "") -> None:
        """Where `name` (default: this session's) has the place; else nothing happens. Errors: CoordinatorError."""
        self._call("ReleasePlace", messages.ReleasePlaceRequest(placename=place, fromuser=name or self.name))

    def reserve(self, place: str) -> Any:
        """A reservation of that very place, by its name. Errors: CoordinatorError."""
        wanted = messages.Reservation.Filter(filter={"name": place})
        request = messages.CreateReservationRequest(filters={"main": wanted}, prio=0.0)
        return self._call("CreateReservation", request).reservation

    def poll(self, token: str) -> Any:
        """The reservation as it is, kept alive by asking. Errors: CoordinatorError."""
        return self._call("PollReservation", messages.PollReservationRequest(token=token)).reservation

    def cancel(self, token: str) -> None:
        """Errors: CoordinatorError."""
        self._call("CancelReservation", messages.CancelReservationRequest(token=token))

    def reservations(self) -> Iterator[Any]:
        """All of them. Errors: CoordinatorError."""
        yield from self._call("GetReservations", messages.GetReservationsRequest()).reservations

    def close(self) -> None:
        """End the session; what it has acquired stays acquired."""
        self._outgoing.put(None)
        self._channel.close()


def _path(path: Any) -> str:
    return f"{path.exporter_name}/{path.group_name}/{path.resource_name}"


def values_of(fields: Any) -> dict[str, Any]:
    """Parameters of a resource as plain values."""
    return {key: getattr(value, value.WhichOneof("kind") or "", None) for key, value in fields.items()}

"""This PC as a board: commands are child processes, the board's home is a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from harness.errors import HostError
from harness.records import Endpoint
from harness.transports.base import STREAM_LIMIT_BYTES, Paced, Stream
from harness.transports.copying import Copying
from harness.transports.passwords import hide_environment
from harness.transports.patience import Patience
from harness.transports.pipes import PipeStream, command_name
from harness.transports.quoting import check_arguments


class LocalTransport(Copying):
    """`endpoint.address` is the folder that is the board's home; made when it is absent."""

    def __init__(self, endpoint: Endpoint, patience: Patience | None = None) -> None:
        super().__init__(patience)
        self._folder = Path(endpoint.address or Path.home()).expanduser().absolute()
        self.where = f"{endpoint.name} (this PC, {self._folder})"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{self.where}: cannot make this folder: {error}") from error

    def stream(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: Iterable[bytes] | None = None,
        carries_bytes: int = STREAM_LIMIT_BYTES,
        paced: Paced = "",
    ) -> AbstractContextManager[Stream]:
        """Run one command; see the contract in base.py."""
        check_arguments(argv)
        return self._stream(argv, timeout_s, stdin, paced)

    @contextmanager
    def _stream(
        self, argv: Sequence[str], timeout_s: float, stdin: Iterable[bytes] | None, paced: Paced
    ) -> Iterator[Stream]:
        # `sh -c exec` makes an absent program the answer 127, as on every other board
        words = ["sh", "-c", 'exec "$@"', "sh", *argv]
        with PipeStream(
            [os.fsencode(word) for word in words],
            what=f"{self.where}: {command_name(argv)}",
            timeout_s=timeout_s,
            stdin=stdin,
            pace=self.pace(paced),
            environment=hide_environment() | {"HOME": str(self._folder), "PWD": str(self._folder)},
            folder=self._folder,
        ) as stream:
            yield stream

    def alive(self) -> bool:
        return self._folder.is_dir()

    def close(self) -> None:
        """Nothing to close: every command is its own process."""

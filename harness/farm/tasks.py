"""What Dask runs in a worker's process: it hands a job to harness and waits for the board, in the event loop."""

from __future__ import annotations

import asyncio

from harness.farm.worker import REFUSED, Answer, FarmWorker

_of_this_process: list[FarmWorker] = []


def serve_by(worker: FarmWorker) -> None:
    """Jobs that come to this process are that worker's."""
    _of_this_process[:] = [worker]


async def measure(job: object) -> Answer:
    """Run one job; ends when its board is free again. Where Dask gives it up meanwhile, what has begun goes on."""
    if not _of_this_process:
        return {"state": REFUSED, "why": "a Dask worker that is none of harness: start it by `harness farm worker`"}
    return await asyncio.wrap_future(_of_this_process[0].take(job))

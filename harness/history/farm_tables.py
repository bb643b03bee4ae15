"""The tables of a farm past one PC. They lie beside the index, and `harness history rebuild` does not touch them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

FARM_VERSION = 1
FARM_TABLES = MetaData()

# One row. `farm_id` says which database this is, whatever URL leads to it.
FARM = Table(
    "harness_farm",
    FARM_TABLES,
    Column("version", Integer, nullable=False),
    Column("farm_id", String(40), nullable=False),
)

# `beats` rises as long as the worker's process goes on: nobody's clock is compared with another PC's.
WORKERS = Table(
    "harness_farm_workers",
    FARM_TABLES,
    Column("worker", String(200), primary_key=True),
    Column("beats", Integer, nullable=False),
)

# One row an attempt. `claim` is of whoever made it; `result` and `archive` are written by the PC that ran it.
JOBS = Table(
    "harness_farm_jobs",
    FARM_TABLES,
    Column("id", Integer, primary_key=True),
    Column("night", String(200), nullable=False, index=True),
    Column("run_key", String(500), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("board", String(200), nullable=False),
    Column("worker", String(200), nullable=False),
    Column("claim", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("stop", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),  # a tool did: the board is in doubt until the run is judged
    Column("result", Text, nullable=False),
    Column("archive", LargeBinary),
    UniqueConstraint("run_key", "attempt", name="harness_farm_jobs_once"),
)

# Files of nights that go on, by their content, in pieces. They go when the night is complete.
FILES = Table(
    "harness_farm_files",
    FARM_TABLES,
    Column("id", Integer, primary_key=True),
    Column("night", String(200), nullable=False),
    Column("content", String(80), nullable=False),  # md5 and size
    Column("piece", Integer, nullable=False),
    Column("is_last", Boolean, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    UniqueConstraint("night", "content", "piece", name="harness_farm_files_once"),
)

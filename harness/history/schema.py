"""The tables of the index. Another version of them is made anew from the run folders: there are no migrations."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
TABLES = MetaData()

# One row: the version. Its name says whose it is, for databases that others use too.
VERSION = Table("harness_history", TABLES, Column("version", Integer, nullable=False))

NIGHTS = Table(
    "harness_nights",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("source", String(1000), nullable=False),
    Column("folder", String(500), nullable=False),
    Column("stamp", String(60), nullable=False),  # size and time of night.json, as it was read
    Column("night", String(200), nullable=False),
    Column("started_utc", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("exit_code", Integer),
    UniqueConstraint("source", "folder", name="harness_nights_once"),
)

RESULTS = Table(
    "harness_results",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("night_id", Integer, ForeignKey("harness_nights.id"), index=True),
    Column("source", String(1000), nullable=False),
    Column("folder", String(500), nullable=False),
    Column("case_name", String(200), nullable=False),
    Column("board", String(200), nullable=False),
    Column("started_utc", String(40), nullable=False),
    Column("night", String(200), nullable=False),
    Column("soc", String(60), nullable=False),
    Column("word", String(40), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("consistency", String(40), nullable=False),
    Column("model_md5", String(64), nullable=False),
    Column("epoch", String(40), nullable=False),
    Column("facts", Text, nullable=False),  # JSON
    Column("median_us", Float),
    Column("low_us", Float),
    Column("high_us", Float),
    Column("estimated", Boolean, nullable=False),
    Column("level_us", Float),
    Column("percent", Float),
    Column("alarm", String(20), nullable=False),
    Column("sitting_percent", Float),
    Column("sitting_p", Float),
    Column("layers", String(64), nullable=False),
    Column("fed", String(40), nullable=False),
    Index("harness_results_pair", "case_name", "board", "started_utc"),
)

# A list of [name, md5, verdict] in the order of the network. Nights that change nothing share one.
LAYER_SETS = Table(
    "harness_layer_sets", TABLES, Column("digest", String(64), primary_key=True), Column("layers", Text, nullable=False)
)

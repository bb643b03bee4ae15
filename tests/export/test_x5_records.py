"""`harness export --to x5-records`: valid by the vendor's schemas, and never more than the run did."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.runs.folder import claimed
from tests.support import fixtures_run
from tests.support.toolchain_samples import SAMPLES

NAMES = ("environment", "artifacts", "verification", "receipt")
SCHEMAS = SAMPLES / "vendor-skills/x5/schemas"
RUNS = Path(__file__).resolve().parents[1] / "data/runs_0_1"
Plain = dict[str, Any]


def export(folder: Path, *more: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["export", str(folder), "--to", "x5-records", *more])
    return result.exit_code, result.stdout, result.stderr


def records(run: Plain, folder: Path) -> dict[str, Plain]:
    """The four records of a run that is written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run))
    code, _, err = export(folder)
    assert code == 0, err
    return {name: json.loads((folder / "x5-records" / f"{name}.json").read_text()) for name in NAMES}


def on_a_board(run: Plain) -> Plain:
    """The same run, measured on a real X5."""
    real = copy.deepcopy(run)
    real["board"] |= {"emulated": False, "name": "x5-01", "soc": "RDK-X5", "address": "10.1.2.3", "transport": "ssh"}
    return real


def assert_valid(made: dict[str, Plain]) -> None:
    from jsonschema import Draft202012Validator

    if not SCHEMAS.is_dir():
        pytest.skip(f"the vendor's schemas are not here: {SCHEMAS} (set HARNESS_SAMPLES)")
    for name, record in made.items():
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(record)]
        assert errors == [], (name, errors)
    times = [made["environment"]["captured_at"], made["receipt"]["completed_at"]]
    times += [row["recorded_at"] for row in (*made["artifacts"]["artifacts"], *made["verification"]["checks"])]
    assert all(datetime.fromisoformat(time.replace("Z", "+00:00")).tzinfo for time in times)


BUILDERS: tuple[Callable[[], Plain], ...] = (
    fixtures_run.base_run, fixtures_run.consistent_run, fixtures_run.partly_compared_run, fixtures_run.diverging_run,
    fixtures_run.waived_run, fixtures_run.not_comparable_run, fixtures_run.not_compared_run, fixtures_run.unstable_run,
    fixtures_run.failed_run, fixtures_run.interrupted_run, fixtures_run.no_profile_run, fixtures_run.hostile_run,
)  # fmt: skip


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("emulated", [True, False])
def test_every_run_of_an_x5_gives_valid_records(build: Callable[[], Plain], emulated: bool, tmp_path: Path) -> None:
    run = build() if emulated else on_a_board(build())
    run["board"]["soc"] = "x5"
    made = records(run, tmp_path / "run")
    assert_valid(made)
    if emulated:
        assert made["receipt"]["status"] != "succeeded" and made["verification"]["passed"] is False
        assert any("emulated" in limit for limit in made["receipt"]["limitations"])


@pytest.mark.parametrize("folder", sorted(RUNS.glob("x5_*")), ids=lambda path: path.name)
def test_runs_of_an_older_harness_give_valid_records_too(folder: Path, tmp_path: Path) -> None:
    made = records(json.loads((folder / "run.json").read_text()), tmp_path / "run")
    assert_valid(made)
    assert made["receipt"]["status"] != "succeeded"


def test_a_good_run_of_a_real_board_succeeded_with_its_artifacts(tmp_path: Path) -> None:
    run = on_a_board(fixtures_run.consistent_run())
    run["case"]["model"]["sha256"] = hashlib.sha256(b"model").hexdigest()
    made = records(run, tmp_path / "run")
    assert_valid(made)
    assert made["receipt"]["status"] == "succeeded" and made["verification"]["passed"] is True
    assert {check["passed"] for check in made["verification"]["checks"]} == {True}
    kinds = {one["type"]: one["sha256"] for one in made["artifacts"]["artifacts"]}
    assert kinds["run-record"] == hashlib.sha256((tmp_path / "run/run.json").read_bytes()).hexdigest()
    assert kinds["model"] == run["case"]["model"]["sha256"]
    assert "10.1.2.3" not in json.dumps(made)


def spoilt_mode(run: Plain) -> None:
    run["modes"][0]["failure"] = {"kind": "timeout", "message": "too slow", "evidence": "", "hint": ""}


def one_layer_less(run: Plain) -> None:
    run["comparison"]["coverage"]["layers_compared"] -= 1


def a_bad_verdict(run: Plain) -> None:
    run["verdict"] = {"word": "diverges", "detail": "one layer", "exit_code": 1}


SPOILT: tuple[Callable[[Plain], None], ...] = (
    spoilt_mode,
    one_layer_less,
    a_bad_verdict,
    lambda run: run["comparison"]["layers"][3].update(verdict="not_compared"),
    lambda run: run.update(comparison=None),
    lambda run: run.update(verdict=None),
    lambda run: run.update(modes=[]),
    lambda run: run["modes"][0].update(exit_code="nonsense"),
    lambda run: run.update(state="interrupted"),
    lambda run: run.update(state="failed"),
    lambda run: run["board"].update(emulated="maybe"),
)


@pytest.mark.parametrize("spoil", SPOILT)
def test_nothing_less_than_a_whole_good_run_succeeds(spoil: Callable[[Plain], None], tmp_path: Path) -> None:
    run = fixtures_run.consistent_run()
    run = on_a_board(run)
    spoil(run)
    made = records(run, tmp_path / "run")
    assert_valid(made)
    assert made["receipt"]["status"] in ("failed", "blocked", "cancelled")
    assert made["verification"]["passed"] is False and made["receipt"]["verification"]["passed"] is False


def test_a_file_that_changed_after_the_run_is_not_vouched_for(tmp_path: Path) -> None:
    run = on_a_board(fixtures_run.consistent_run())
    inputs = tmp_path / "run/inputs"
    inputs.mkdir(parents=True)
    (inputs / "0_photo.nv12").write_bytes(b"photo")
    run["case"]["inputs"][0]["md5"] = hashlib.md5(b"photo", usedforsecurity=False).hexdigest()
    hashed = {one["path"]: one["sha256"] for one in records(run, tmp_path / "run")["receipt"]["artifacts"]}
    assert hashed["inputs/0_photo.nv12"] == hashlib.sha256(b"photo").hexdigest()
    (inputs / "0_photo.nv12").write_bytes(b"other")
    hashed = {one["path"]: one["sha256"] for one in records(run, tmp_path / "run")["receipt"]["artifacts"]}
    assert hashed["inputs/0_photo.nv12"] is None


@pytest.mark.parametrize("name", ["t40_complete", "x3_complete", "j6e_complete", "ort_complete", "s100_noise"])
def test_any_other_board_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    code, _, err = export(RUNS / name, "-o", str(tmp_path / "records"))
    assert code == 2 and "x5-records are for X5 boards" in err
    assert not (tmp_path / "records").exists()


def test_a_run_that_is_not_over_is_refused_and_one_that_broke_off_is_cancelled(tmp_path: Path) -> None:
    run = fixtures_run.consistent_run() | {"state": "running"}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with claimed(tmp_path):
        code, _, err = export(tmp_path)
    assert code == 2 and "not over" in err
    assert records(run, tmp_path)["receipt"]["status"] == "cancelled"


def test_text_forms_are_those_of_the_report(tmp_path: Path) -> None:
    run = RUNS / "x5_complete"
    listed = CliRunner().invoke(cli, ["export", "--forms"]).stdout
    assert [line.split()[0] for line in listed.splitlines()][-3:] == ["parquet", "model-explorer", "x5-records"]
    printed = CliRunner().invoke(cli, ["export", str(run), "--to", "markdown"])
    assert printed.stdout == CliRunner().invoke(cli, ["report", str(run), "--as", "markdown"]).stdout
    written = CliRunner().invoke(cli, ["export", str(run), "--to", "json", "-o", str(tmp_path / "a.json"), "--json"])
    assert json.loads(written.stdout)["files"] == [str(tmp_path / "a.json")] and (tmp_path / "a.json").stat().st_size


def test_an_unknown_form_is_told_with_the_nearest_name() -> None:
    result = CliRunner().invoke(cli, ["export", str(RUNS / "x5_complete"), "--to", "x5-record"])
    assert result.exit_code == 2 and "did you mean 'x5-records'?" in result.stderr

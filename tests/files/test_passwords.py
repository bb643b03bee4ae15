"""No output holds a password that a tool printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.diagnosis.plan import join, read_build
from harness.files.passwords import values_without_passwords, without_passwords
from harness.records import Run
from harness.runs.folder import load_run, save_run

SECRET = "hun-ter2!x"
SENTENCES = (
    "Connect to 192.0.2.1 with username root and password {} failed!",
    "Connect to 192.0.2.1 with username root and password {} failed! Please make sure",
    "Connect to board with username user-1 and password {}",  # a line that the file's end cuts
    "--ip 192.0.2.1 --username root --password {} --port 22",
    "sshpass -p {} ssh root@192.0.2.1",
    "password: {}",
    "password={}, port=22",
    "Passwd = '{}'",
    '{{"ip": "192.0.2.1", "password": "{}", "port": 22}}',
    "ssh://root:{}@192.0.2.1:22/map",
    "HB_PASSWORD={}",
)
HARMLESS = (
    "Connect to 192.0.2.1 without password failed! Please make sure",
    "give a password: HARNESS_PASSWORD_X5_01, or: harness boards password x5-01",
    "There is an error in pass: fuse_conv",
    "password authentication is off",
    "HBDK model check PASS",
    "see https://192.0.2.1:8080/page",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_password_is_left_out_and_the_rest_stays(sentence: str) -> None:
    assert without_passwords(sentence.format(SECRET)) == sentence.format("***")
    assert without_passwords(sentence.format("***")) == sentence.format("***")


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_a_password_stays(text: str) -> None:
    assert without_passwords(text) == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r", exclude_categories=["Z", "C"]), min_size=4))
def test_whatever_the_password_is_the_vendors_sentence_holds_it_no_more(secret: str) -> None:
    sentence = "Connect to 192.0.2.1 with username root and password {} failed!"
    assert without_passwords(sentence.format(secret[:200])) == sentence.format("***")


def test_values_of_a_key_called_password_are_left_out() -> None:
    value = {"board": {"password": SECRET, "port": 22, "ssh_password": SECRET}, "list": [f"password={SECRET}"]}
    assert SECRET not in json.dumps(values_without_passwords(value))
    assert values_without_passwords({"password": ""}) == {"password": ""}


@pytest.fixture()
def log(tmp_path: Path) -> Path:
    path = tmp_path / "hb_compile.log"
    lines = ["hb_compile version 3.5.16", *(sentence.format(SECRET) for sentence in SENTENCES)]
    path.write_text("".join(f"2026-05-06 14:03:30,001 ERROR {line}\n" for line in lines))
    return path


@pytest.mark.parametrize("options", [[], ["--json"], ["--all"]])
def test_inspect_shows_no_password(log: Path, options: list[str]) -> None:
    result = CliRunner().invoke(cli, ["inspect", str(log), *options])
    assert result.exit_code == 0 and SECRET not in result.output and "***" in result.output


def test_an_unrecognised_file_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(f"password: {SECRET}\n")
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "x.txt")])
    assert result.exit_code == 2 and SECRET not in result.output


def test_the_record_of_a_run_holds_no_password(log: Path, tmp_path: Path) -> None:
    """Neither from the files of a build, nor from notes; an older record is read without it."""
    folder = tmp_path / "run"
    folder.mkdir()
    run = Run(plan=join(read_build([log]), None, None), notes=(SENTENCES[0].format(SECRET),))
    file = save_run(folder, run)
    assert SECRET not in file.read_text()
    file.write_text(file.read_text().replace("***", SECRET))
    assert SECRET not in repr(load_run(folder))

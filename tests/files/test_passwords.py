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
# What tools and people print where a word of its own cannot be taken for granted: all of it is hidden.
HIDDEN_WHOLE = (
    ("password: hunter,2&more", "password: ***"),
    ("password: my secret pw", "password: ***"),
    ("2026-05-06 14:03:30 INFO root@192.0.2.1's password: my secret pw", None),
    ("user: root, password: my secret pw, port: 22", "user: root, password: ***, port: 22"),
    ("{user: root, password: secret, port: 22}", "{user: root, password: ***, port: 22}"),
    ("password = my secret pw", "password = ***"),
    ("password=my secret pw", "password=***"),
    ("bmcpassword=secret,2;x login", None),
    ("sshPassword: 'my secret ''pw'", "sshPassword: '***'"),
    ('password: "my secret pw", port: 22', 'password: "***", port: 22'),
    (r"{\"password\": \"my secret pw\", \"port\": 22}", r"{\"password\": \"***\", \"port\": 22}"),
    ('{"password":12345secret,"port":22}', '{"password":***,"port":22}'),
    ('{"passwords": ["secret", "pw"], "port": 22}', '{"passwords": [***], "port": 22}'),
    ("<password>my secret pw</password>", "<password>***</password>"),
    ("ssh://root:p@secret@host", "ssh://root:***@host"),
    ("ssh://root:p@secret@host/map@2", "ssh://root:***@host/map@2"),
    ("ssh://root:se'cret/pw@host/map", "ssh://root:***@host/map"),
    ("redis://:secret@host", "redis://:***@host"),
    ("sshpass -v -p secret ssh -p 22 root@host", "sshpass -v -p *** ssh -p 22 root@host"),
    ("sshpass -p 'my secret' ssh root@host", "sshpass -p '***' ssh root@host"),
    ("curl -k -u root:secret https://host/", "curl -k -u root:*** https://host/"),
    ('curl --user "root:my secret" https://host/', 'curl --user "root:***" https://host/'),
    ("tool --ssh-password=secret,2 run", "tool --ssh-password=*** run"),
    ("plink -pw secret root@host", "plink -pw *** root@host"),
    ('running ["sshpass", "-e", "-p", "secret", "ssh"]', 'running ["sshpass", "-e", "-p", "***", "ssh"]'),
    ("running ['tool', '--password', 'my secret', '-v']", "running ['tool', '--password', '***', '-v']"),
    ("HARNESS_PASSWORD_X5_01=secret harness run", None),
    ("mysql -uroot -psecret -h 192.0.2.1 boards", "mysql -uroot -p*** -h 192.0.2.1 boards"),
    ("mysqldump -P3306 -p'my secret' db", "mysqldump -P3306 -p'***' db"),
    ('mariadb-admin -u root -p"my secret" status', 'mariadb-admin -u root -p"***" status'),
    ("['/usr/bin/mysql', '-uroot', '-psecret']", "['/usr/bin/mysql', '-uroot', '-p***']"),
    ("board:\n  password: |\n\n    my secret\n\n    and more\n  port: 22\n", None),
    ("- password: |-\n    secret\n- name: b\n  bmc_pass: >2\n      secret\n", None),
    ("password:\n  secret\nport: 22", "password:\n  ***\nport: 22"),
    ("passwords:\n- secret\n- more\nport: 22", "passwords:\n- ***\n- ***\nport: 22".replace("- ***", "***")),
    ("passwords:\n  root: secret\n  bob: more\nport: 22", "passwords:\n  root: ***\n  bob: ***\nport: 22"),
)
STRUCTURED = (
    {"password": 12345},
    {"sshPassword": 12345, "bmcpassword": "12345", "root_passwd2": True},
    {"passwords": ["12345", 12345], "password": {"value": "12345"}},
    {"argv": ["sshpass", "-p", "12345", "ssh"]},
    {"argv": ["/usr/bin/sshpass", "-v", "-p12345", "ssh"]},
    {"argv": ["tool", "--password", "12345"]},
    {"argv": ["tool", "--ssh-password", 12345]},
    {"argv": ["/usr/bin/mysqldump", "-uroot", "-p12345"]},
    {"argv": ["curl", "-k", "-u", "root:12345"]},
    {"rows": [{"name": "password", "value": "12345"}]},
    ["user:", "root", "password:", "12345"],
)
HARMLESS = (
    "two-pass quantization",
    "two-pass quantization of pass rate 99 %, bypass on, compass: north",
    "--by-pass mode",
    "password file not found",
    "password: none given",
    "password: not set",
    "(using password: YES)",
    "root@192.0.2.1's password: Permission denied, please try again.",
    "option --password is not known",
    '{"password": null, "port": 22}',
    "http://192.0.2.1:8080/map@2",
    "docker run -u 1000:1000 -p 80:80 image",
    "sshpass -e ssh -p 22 root@192.0.2.1",
    "sshpass -f file ssh -p 22 root@192.0.2.1",
    "tool --password-file x",
    "mysql -P3306 -h 192.0.2.1 -p boards",
    "docker run -p3306:3306 mysql",
    "mkdir -p mysql/data && psql -p5432",
    "password policy:\n  strict: on\n",
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


@pytest.mark.parametrize(("text", "expected"), HIDDEN_WHOLE)
def test_the_whole_password_is_left_out(text: str, expected: str | None) -> None:
    hidden = without_passwords(text)
    assert hidden == (expected or hidden) and "***" in hidden
    assert not any(word in hidden for word in ("secret", "pw'", " pw", "hunter", "more"))
    assert without_passwords(hidden) == hidden


@pytest.mark.parametrize("value", STRUCTURED, ids=str)
def test_whatever_stands_for_a_password_in_structured_data_is_left_out(value: object) -> None:
    hidden = values_without_passwords(value)
    assert "12345" not in json.dumps(hidden) and "***" in json.dumps(hidden)
    assert values_without_passwords(hidden) == hidden


def test_arguments_that_are_no_passwords_stay() -> None:
    for argv in (["sshpass", "-e", "ssh", "-p", "22"], ["ssh", "-p", "22"], ["tool", "--pass-rate", "0.9"]):
        assert values_without_passwords(argv) == argv
    assert values_without_passwords({"password": None, "pass": "fuse"}) == {"password": None, "pass": "fuse"}


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


def test_what_harness_itself_says_holds_none() -> None:
    """docs/messages.md is what the commands print: not a word of it may be taken for a password."""
    page = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
    assert "***" not in page.partition("\n## ")[2] and without_passwords(page) == page

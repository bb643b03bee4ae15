"""Who reads the forms: the schema that Jenkins and pytest share, and speedscope in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from harness.report.exporters import junit, sarif, trace
from tests.records.kit import typed
from tests.report.test_browser import CHROMIUM
from tests.support import fixtures_run as runs

XSD = "testing/example_scripts/junit-10.xsd"
pytestmark = pytest.mark.slow


def fetched(command: list[str], folder: Path, pattern: str, excuse: str) -> Path:
    try:
        subprocess.run(command, cwd=folder, capture_output=True, timeout=180, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"{excuse}: {type(error).__name__}")
    return next(folder.glob(pattern))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lxml import etree

    folder = tmp_path_factory.mktemp("xsd")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "pytest", "pytest"]
    archive = fetched(command, folder, "pytest-*.tar.gz", "the schema of JUnit cannot be fetched")
    with tarfile.open(archive) as packed:
        member = next(one for one in packed if one.name.endswith(XSD))
        return etree.XMLSchema(etree.parse(packed.extractfile(member)))


def test_junit_is_valid_by_the_schema_of_jenkins(schema: Any) -> None:
    from lxml import etree

    for name, build in runs.ALL.items():
        document = etree.fromstring(junit.export(typed(build())).encode())
        assert schema.validate(document), (name, schema.error_log)
    bad = junit.export(typed(runs.consistent_run())).replace('classname="', 'file="a" classname="')
    assert not schema.validate(etree.fromstring(bad.encode()))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def speedscope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Where it is served, and the folder for traces."""
    folder = tmp_path_factory.mktemp("speedscope")
    archive = fetched(["npm", "pack", "speedscope@1.25.0"], folder, "speedscope-*.tgz", "speedscope cannot be fetched")
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and member.name.startswith("package/dist/release/"):
                source = packed.extractfile(member)
                assert source is not None
                (folder / Path(member.name).name).write_bytes(source.read())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()


def complaints(address: str, name: str) -> list[str]:
    """What the console says while speedscope opens a trace."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        page = browser.new_page()
        heard: list[str] = []
        page.on("console", lambda m: heard.append(m.text) if m.type in ("warning", "error") else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(f"{address}/index.html#profileURL={address}/{name}")
        page.wait_for_function(f"document.title.includes('{name}')", timeout=60_000)
        page.wait_for_timeout(500)
        browser.close()
    return [text for text in heard if "GL Driver" not in text and "GPU stall" not in text]


def test_speedscope_opens_a_trace_without_a_warning_and_hears_a_bad_one(speedscope: tuple[str, Path]) -> None:
    address, folder = speedscope
    (folder / "good.json").write_text(trace.export(typed(runs.diverging_run())))
    assert complaints(address, "good.json") == []
    crossing = [
        {"ph": "X", "name": name, "ts": start, "dur": 10, "pid": 1, "tid": 1, "args": {}}
        for name, start in (("a", 0), ("b", 5))
    ]
    (folder / "crossing.json").write_text(json.dumps({"traceEvents": crossing}))
    assert complaints(address, "crossing.json") != []


def test_sarif_is_valid_by_the_official_schema() -> None:
    """The schema is OASIS's and in no package: HARNESS_SAMPLES/sarif-schema-2.1.0.json, where somebody put it."""
    import os

    from jsonschema import Draft4Validator

    path = Path(os.environ.get("HARNESS_SAMPLES", "/nowhere")) / "sarif-schema-2.1.0.json"
    if not path.is_file():
        pytest.skip(f"the official schema is not at {path} (set HARNESS_SAMPLES)")
    validator = Draft4Validator(json.loads(path.read_text()))
    for name, build in runs.ALL.items():
        errors = [error.message for error in validator.iter_errors(json.loads(sarif.export(typed(build()))))]
        assert errors == [], (name, errors)

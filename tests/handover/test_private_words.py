"""What must not leave is seen by its form and by what the run is called; names of layers and versions stand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.handover.private_words import PrivateWords

WORDS = PrivateWords(
    {"lab7": "<host>", "alice": "<user>", "workstation9": "<host>"},
    frozenset({"x5"}),
    frozenset({"/model.0/conv", "/tmp/odd/conv", "conv2", "/head/box.local/Add"}),
    frozenset({"9.8.7.6"}),
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("see /home/bob/x/y.onnx:3", "see <path>/y.onnx:3"),
        ("open /home/bob", "open <path>"),
        ("file:///etc/x/y", "<path>/y"),
        ("root@192.168.1.4:22", "<user>@<host>:22"),
        ("x at 10.0.0.3, ok", "x at <address>, ok"),
        ("bob@conv3 and bob@lab.example.org", "<user>@<host> and <user>@<host>"),
        ("lab7 is up, alice", "<host> is up, <user>"),
        (r"C:\Users\me\x.txt and \\srv\share", "<path> and <path>"),
        ("on desk.local", "on <host>"),
        ("eth0 00:11:22:33:44:55", "eth0 <address>"),
        ("inet6 fe80::1%eth0", "inet6 <address>%eth0"),
        ("password: hunter2 now", "password: ***"),
        ("ghp_abcdefghijklmnop1234", "<token>"),
        ("api_key = 0123456789", "<token>"),
        ("-----BEGIN RSA PRIVATE KEY-----", "<key>"),
    ],
)
def test_what_is_private_is_seen_and_replaced(text: str, clean: str) -> None:
    assert list(WORDS.private_parts(text))
    assert WORDS.cleaned(text) == clean
    assert list(WORDS.private_parts(clean)) == []


@pytest.mark.parametrize(
    "text",
    [
        "/model.0/conv differs",
        "at /tmp/odd/conv",
        "/head/box.local/Add",
        "Runtime version = 3.15.55.0",
        "hbrt: 9.8.7.6",
        "halved@conv2",
        "std::add::bad at 12:34:56",
        "a/b/c and 3/4",
        "https://example.org/tmp/x",
        "lab70 alice2",
    ],
)
def test_names_of_layers_versions_and_faults_stand(text: str) -> None:
    assert list(WORDS.private_parts(text)) == []
    assert WORDS.cleaned(text) == text


def test_a_secret_is_not_shown() -> None:
    shown = [what for _, what in WORDS.private_parts("token ghp_abcdefghijklmnop1234, password: hunter2")]
    assert shown == ["", ""]


def test_bytes_are_looked_through_in_both_widths() -> None:
    model = b"\0\x01" + b"built at /home/bob/models/x.onnx" + b"\0" + "lab7 was it".encode("utf-16-le")
    kinds = [(leak.kind, leak.place) for leak in WORDS.leaks("model.hbm", model)]
    assert ("a path", "byte 2") in kinds and ("a private name", "byte 35") in kinds


def test_numbers_are_no_words_but_a_long_name_among_them_is_seen() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8).tobytes()
    assert list(WORDS.leaks("t.bin", noise)) == []
    assert [leak.kind for leak in WORDS.leaks("t.bin", noise + b"\0workstation9\0")] == ["a private name"]


def test_a_text_names_its_line() -> None:
    (leak,) = WORDS.leaks("log.txt", b"one\ntwo lab7\n")
    assert (leak.file, leak.kind, leak.place, leak.shown) == ("log.txt", "a private name", "line 2", "lab7")

"""A run in words: the headline, the lines for a terminal, the Markdown for a ticket."""

from __future__ import annotations

import pytest

from harness.profiling.split import profile
from harness.records import Latency, OpTime
from harness.records.codec import to_json
from harness.report.markdown import code, markdown, prose
from harness.report.tables import headline
from tests.records.kit import lines, tables
from tests.support import fixtures_run as runs

# ------------------------------------------------------------------ headline


@pytest.mark.parametrize(
    ("name", "tone", "title"),
    [
        ("consistent", "good", "Consistent"),
        ("partly compared", "part", "Consistent, as far as compared"),
        ("diverging", "bad", "Diverges at /model.4/cv2/Conv"),
        ("interval", "bad", "Diverges at or before /model.4/cv2/Conv"),
        ("accumulated", "good", "Consistent: rounding accumulated, no op is wrong"),
        ("not comparable", "none", "Not comparable"),
        ("not compared", "none", "Measured, not compared"),
        ("failed", "stop", "Failed at debug"),
        ("interrupted", "stop", "Interrupted at profile"),
    ],
)
def test_the_headline_says_the_verdict_in_words(name: str, tone: str, title: str) -> None:
    head = tables(runs.ALL[name]())["headline"]
    assert head["tone"] == tone
    assert " ".join(part for part in (head["title"], head["subject"]) if part) == title


def test_the_headline_names_kind_of_fault_evidence_and_coverage() -> None:
    text = " ".join(tables(runs.diverging_run())["headline"]["sentences"]).replace("\u202f", " ")
    assert "Zeroed region: 1 of 80 columns differs" in text
    assert "61 of 64 layers compared, 95.3 % of bytes: 1 origin, 21 propagated, 3 not compared" in text


def test_frames_that_were_not_compared_are_named() -> None:
    run = runs.ALL["consistent"]()
    run["comparison"]["layers"][3]["note"] = "holds 4 frames; frame 2 of 4 is the reference's"
    sentences = tables(run)["headline"]["sentences"]
    assert "The board's dumps hold 4 frames: frame 2 is the reference's, the others were not compared." in sentences
    assert not any("frames" in sentence for sentence in tables(runs.ALL["consistent"]())["headline"]["sentences"])


def test_an_uncertain_fingerprint_is_said_to_look_like_it() -> None:
    print_ = {"kind": "stale_cache", "certain": False, "evidence": "64 bytes at 0x40"}
    assert headline.fault_sentence(print_) == "Looks like stale cache: 64 bytes at 0x40."


def test_without_a_graph_the_headline_says_that_it_is_file_order() -> None:
    run = runs.diverging_run()
    run["comparison"]["origins"][0]["how"] = "sequence"
    assert "file order" in tables(run)["headline"]["title"]


def test_a_suspect_is_not_called_an_origin() -> None:
    run = runs.diverging_run()
    run["comparison"]["origins"][0]["certain"] = False
    assert tables(run)["headline"]["title"] == "Diverges, suspected at"


def test_a_run_whose_process_was_killed_is_never_good() -> None:
    run = runs.consistent_run()
    run["state"] = "running"
    assert tables(run)["headline"]["tone"] == "stop"


def test_a_word_of_a_later_version_is_never_good() -> None:
    run = runs.consistent_run()
    run["verdict"]["word"] = "splendid"
    assert tables(run)["headline"]["tone"] == "none"


# ------------------------------------------------------------------ terminal and ticket


@pytest.mark.parametrize("name", runs.ALL)
def test_the_terminal_summary_is_short_and_starts_with_the_verdict(name: str) -> None:
    shown = lines(runs.ALL[name]())
    assert shown[0].startswith("verdict   ")
    assert len(shown) < 45
    assert not any("\x1b" in line or "\n" in line for line in shown)


def test_the_terminal_summary_says_emulated_estimated_and_coverage() -> None:
    text = "\n".join(lines(runs.diverging_run()))
    assert "emulated  no board was measured" in text
    assert (
        "latency   7.00 ms mean, 6.89 ms to 7.72 ms, 141.9 frames per second, 500 frames, 1 thread (estimated)" in text
    )
    assert "layers    61 of 64 layers compared, 95.3 % of bytes" in text


def test_every_figure_of_an_estimated_time_is_marked() -> None:
    run = runs.diverging_run()
    frames = [7000.0 + place % 7 for place in range(200)] + [700_000.0]
    mean_us = sum(frames) / len(frames)
    latency = Latency(mean_us, min(frames), max(frames), frames=201, samples_us=tuple(frames))
    for estimated in (True, False):
        ops = (OpTime("s", "subgraph", "BPU", "compute", 6900.0, estimated=estimated),)
        run["profile"] = to_json(profile(latency, ops))
        shown = lines(run)
        usual, parts = (next(line for line in shown if word in line) for word in ("95 % interval", "slow frames"))
        assert usual.endswith(" (estimated)") is estimated
        assert parts.count("(estimated)") == (len(parts.split(", ")) if estimated else 0), parts


def test_the_ticket_names_the_origin_and_what_is_unknown() -> None:
    ticket = markdown(tables(runs.diverging_run()))
    assert ticket.startswith("### Diverges at `/model.4/cv2/Conv`\n")
    assert "| 26 | `/model.4/cv2/Conv_output_0` |" in ticket
    assert "**EMULATED**" in ticket
    assert len(ticket) < 4000


@pytest.mark.parametrize("name", runs.ALL)
def test_a_ticket_stays_short_for_every_run(name: str) -> None:
    assert len(markdown(tables(runs.ALL[name]()))) < 40_000


def test_names_cannot_become_markup_in_a_ticket() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert prose("<script>[x](y) *b* @all #1") == "\\<script\\>\\[x\\](y) \\*b\\* \\@all \\#1"
    assert "<script>" not in markdown(tables(runs.hostile_run())).replace("`<script>window.hurt=1</script>`", "")

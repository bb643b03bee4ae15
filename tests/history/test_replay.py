"""`harness history replay`: series that nobody of the project made, judged as nights are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.regressions.confirmation import order_of
from tests.cli.answers import answer_of

NIGHTS = 40


def replay(file: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["history", "replay", str(file), *more])


def series(path: Path, change: float = 1.0, at: int = 30, model: str = "") -> Path:
    """Nights with the usual spread; from night `at` on, `change` times as long."""
    noise = np.random.default_rng(3).normal(1, 0.006, NIGHTS)
    values = [5000 * noise[n] * (change if n >= at else 1) for n in range(NIGHTS)]
    rows = [f"n{n:02d},{value:.2f},e1,{model if n >= at else 'm1'}" for n, value in enumerate(values)]
    path.write_text("\n".join(["night,median_us,epoch,model", *rows]) + "\n")
    return path


def test_a_series_without_a_change_is_good(tmp_path: Path) -> None:
    result = replay(series(tmp_path / "s.csv"))
    assert result.exit_code == 0 and "40 nights: 39 pass, 0 slower, 1 other" in result.stdout


def test_a_board_that_becomes_slower_is_found_once_it_lasts(tmp_path: Path) -> None:
    result = replay(series(tmp_path / "s.csv", 1.04, model="m1"), "--json")
    answer = answer_of(result.stdout, "history-replay")
    words = [night["word"] for night in answer["nights"]]
    assert result.exit_code == 1 and set(words[1:30]) == {"pass"} and "slower" in words[30:34]
    assert answer["nights"][32]["level_us"] == pytest.approx(5000, rel=0.005)


def test_a_sitting_confirms_a_new_model_on_its_first_night(tmp_path: Path) -> None:
    file = series(tmp_path / "s.csv", 1.05, model="m2")
    lines = file.read_text().splitlines()
    sat = [f"{line},{'sitting' if not n else 'slower' if n >= 31 else ''}" for n, line in enumerate(lines)]
    file.write_text("\n".join(sat))
    answer = answer_of(replay(file, "--json").stdout, "history-replay")
    first = answer["nights"][30]
    assert (first["word"], first["alarm"]) == ("slower", "confirmed")
    assert answer["nights"][31]["alarm"] == "known"
    assert "n30" in replay(file).stdout


def with_blocks(slower: float, pairs: int = 32, spread: float = 0.005) -> str:
    """A sitting's figures, tonight's model `slower` times as long."""
    chance = np.random.default_rng(9)
    words = []
    for side in order_of(pairs):
        words.append(f"{side}{5000 * chance.normal(1, spread) * (slower if side == 'B' else 1):.3f}")
    return " ".join(words)


@pytest.mark.parametrize(("slower", "word", "alarm"), [(1.05, "slower", "confirmed"), (1.0, "pass", "noise")])
def test_a_sitting_can_be_given_as_its_blocks(tmp_path: Path, slower: float, word: str, alarm: str) -> None:
    file = series(tmp_path / "s.csv", 1.05, model="m2")
    lines = file.read_text().splitlines()
    sat = [f"{line},{'sitting' if not n else with_blocks(slower) if n >= 31 else ''}" for n, line in enumerate(lines)]
    file.write_text("\n".join(sat))
    night = answer_of(replay(file, "--json").stdout, "history-replay")["nights"][30]
    assert (night["word"], night["alarm"], night["sat"]) == (word, alarm, True)


def test_pairs_of_one_farm_are_judged_each_against_its_own_level(tmp_path: Path) -> None:
    """Several series in one file, one of them with a gap: the same words as each alone."""
    texts = {"a": series(tmp_path / "a.csv", 1.04, model="m1"), "b": series(tmp_path / "b.csv")}
    rows = {name: file.read_text().splitlines()[1:] for name, file in texts.items()}
    del rows["a"][5]
    texts["a"].write_text("\n".join(["night,median_us,epoch,model", *rows["a"]]) + "\n")
    whole = tmp_path / "whole.csv"
    together = [f"{row},{name}" for name, own in rows.items() for row in own]
    whole.write_text("\n".join(["night,median_us,epoch,model,series", *together]) + "\n")
    nights = answer_of(replay(whole, "--json").stdout, "history-replay")["nights"]
    for name, file in texts.items():
        alone = answer_of(replay(file, "--json").stdout, "history-replay")["nights"]
        assert [one["word"] for one in nights if one["series"] == name] == [one["word"] for one in alone]
    assert "b n39" not in replay(whole).stdout and "a n3" in replay(whole).stdout


def test_series_whose_nights_contradict_each_other_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("night,median_us,series\nx,1,a\nb,1,a\nb,1,c\nx,1,c\n")
    result = replay(file)
    assert result.exit_code == 2 and "different orders" in result.output


def test_a_night_says_what_it_can_find(tmp_path: Path) -> None:
    answer = answer_of(replay(series(tmp_path / "s.csv"), "--json").stdout, "history-replay")
    assert answer["nights"][0]["can_find_pct"] is None
    assert 2.5 < answer["nights"][-1]["can_find_pct"] < 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "columns none"),
        ("night,median_us\n", "no nights"),
        ("night,time\na,1\n", "columns night, time"),
        ("night,median_us\na,1\na,2\n", "twice"),
        ("night,median_us\na,nan\n", "'nan' µs"),
        ("night,median_us\na,-4\n", "'-4' µs"),
        ("night,median_us\na,1,2\n", "line 2"),
        ("night,median_us,epoch\na,1\n", "line 2"),
        ("night,median_us,sitting\na,1,perhaps\n", "sitting 'perhaps'"),
        ("night,median_us,sitting\na,1,A1 B0\n", "sitting 'B0'"),
        ("night,median_us,sitting\na,1,A1 C2\n", "sitting 'C2'"),
        ('night,median_us\n"a,1\n', "s.csv"),
    ],
)
def test_what_is_no_series_says_where(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "s.csv"
    file.write_text(text)
    result = replay(file)
    assert result.exit_code == 2 and why in result.output and "Traceback" not in result.output


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"night,median_us\n\xff\xfe,1\n")
    assert replay(tmp_path / "s.csv").exit_code == 2
    assert replay(tmp_path / "gone.csv").exit_code == 2
    assert replay(tmp_path).exit_code == 2

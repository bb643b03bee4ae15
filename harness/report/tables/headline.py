"""The first words of a report: what the verdict is, about which op, and how much was compared at all."""

from __future__ import annotations

import re

from harness.errors import MEASURED_BAD
from harness.records import Comparison, DebugVsRelease, ModeOfRun, Run, Verdict
from harness.report.tables.layers import WORDS, beyond_a_step, level, small
from harness.report.values import Row, number, plain, share, shortened

_FRAMES = re.compile(r"holds? ([0-9]+) frames; frame ([0-9]+) of [0-9]+ is the reference's")
# word -> (tone, title). Tones: good, part (good, but not everything was compared), bad, none (nothing judged), stop.
_TITLES = {
    "consistent": ("good", "Consistent"),
    "consistent_within": ("good", "Consistent within the policy"),
    "consistent_accumulated": ("good", "Consistent: rounding accumulated, no op is wrong"),
    "diverges": ("bad", "Diverges"),
    "not_deterministic": ("bad", "Not deterministic"),
    "slower": ("bad", "Slower than the previous run"),
    "not_comparable": ("none", "Not comparable"),
    "incomplete": ("none", "Incomplete"),
    "board_fault": ("bad", "Board fault"),
    "not_compared": ("none", "Measured, not compared"),
    "swept": ("none", "Settings measured"),
    "goal_met": ("part", "Goal met"),
    "goal_missed": ("bad", "Goal not met by any setting"),
    "steady": ("part", "Steady"),
    "unsteady": ("bad", "Not steady"),
    "smooth": ("part", "No jitter added"),
    "jitter_located": ("part", "Jitter located"),
    "jitters": ("bad", "Jitter"),
    "not_measured": ("stop", "Not measured"),
}
_GOOD_WORDS = tuple(word for word, (tone, _) in _TITLES.items() if tone == "good")
_STATES = {
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Still running, or interrupted",
}


def headline(
    run: Run,
    coverage: Row | None,
    counts: dict[str, int],
    origins: list[Row],
    waivers: list[Row],
    outputs: list[Row],
) -> Row:
    """{"word", "tone", "title", "subject", "quantization", "sentences"}: `subject` is a name and is set in another
    type, `quantization` the second line: what it does by itself, "" where it was not judged."""
    compared = run.comparison.verdict if run.comparison else None
    verdict = run.verdict or compared or Verdict("", "", 0)
    if run.state != "complete":
        return _stopped(run, verdict, coverage, counts)
    word = verdict.word
    tone, title = _TITLES.get(word, ("none", f"Verdict {word!r}" if word else "No verdict"))
    title, subject = _against_itself(run) or _with_subject(word, title, origins, run.comparison)
    if word == "not_measured" and (coverage or run.profile):
        title = "Partly measured"
    if tone == "good" and not (coverage and coverage["whole"]):
        tone, title = "part", f"{title}, as far as compared"
    if run.damage and tone in ("good", "part"):
        tone, title = "none", f"{title} (damaged record)"
    if verdict.word in _GOOD_WORDS and verdict.exit_code == MEASURED_BAD:
        tone, title = "bad", f"{title}; quantization is below the gate"
    is_stated = _is_said(origins, word, verdict, compared)
    detail = [] if is_stated else [_without_title(verdict.detail, title)]
    sentences = [
        *_damaged(run),
        *_input_sentences(run, verdict),
        *_frames(run),
        *(_fault(origins, word) or detail),
        *_other_run(run.comparison.extras.debug_vs_release if run.comparison else None, word),
        *effect_sentences(outputs),
        *(detail if _fault(origins, word) else []),
        *_waived(waivers),
        *_no_baseline(run),
        coverage_sentence(coverage, counts) or (_nothing(run) if word == "not_measured" else ""),
    ]
    return {
        "word": word,
        "tone": tone,
        "title": title,
        "subject": subject,
        "quantization": quantization_sentence(run),
        "sentences": _once(sentences),
    }


def quantization_sentence(run: Run) -> str:
    """`Quantization itself: output0 46 dB; ...`: float model against quantized model, whatever the board computes."""
    check = (run.comparison.extras if run.comparison else run.checks).quantization
    if check is None:
        return ""
    gate = {
        "missed": f"below --min-quantization-sqnr {check.min_sqnr_db:g}" if check.min_sqnr_db is not None else "",
        "not_judged": "cannot be held against --min-quantization-sqnr",
    }.get(check.gate, "")
    noise = "on seeded noise" if any(fed.generated for fed in run.case.inputs) else ""
    parts = [part for part in (check.detail, noise, gate) if part]
    return f"Quantization itself: {'; '.join(parts)}"


def _no_baseline(run: Run) -> list[str]:
    """That --previous found no run to compare with: silence would read as "not slower"."""
    earlier = run.previous
    return (
        [f"Not compared with an earlier run (gate: no_baseline): {earlier.why_none}."]
        if earlier and earlier.why_none
        else []
    )


def _damaged(run: Run) -> list[str]:
    """That not all of the record could be read: no statement without it can be trusted."""
    if not run.damage:
        return []
    return [f"run.json is damaged ({run.damage[0]}; {plural(len(run.damage), 'part')} in all, see the problems)."]


def _input_sentences(run: Run, verdict: Verdict) -> list[str]:
    """What speaks against the inputs: it comes before what an op or a layer shows. The first finding; the others are
    among the findings."""
    spoken = [one for one in run.findings if one.rule.startswith("I-") and one.severity != "note"]
    shown = [one for one in spoken if one.title not in verdict.detail][:1]
    return [f"{one.title[:1].upper()}{one.title[1:]}: {one.evidence}." for one in shown]


def _frames(run: Run) -> list[str]:
    """That a board's dumps hold several frames of which one was compared: the others may be anything."""
    notes = (layer.note for layer in run.comparison.layers) if run.comparison else ()
    held = next((match for note in notes if (match := _FRAMES.search(note))), None)
    if held is None:
        return []
    return [
        f"The board's dumps hold {held[1]} frames: frame {held[2]} is the reference's, the others were not compared."
    ]


def _once(sentences: list[str]) -> list[str]:
    """Sentences that say something, without those that another says word for word."""
    kept = [sentence for sentence in dict.fromkeys(sentences) if sentence]
    return [s for s in kept if not any(s.rstrip(".") in other for other in kept if other != s)]


def size_sentence(origin: Row) -> str:
    """How bad the first origin is: `65.9 % of 384 elements differ, by up to 53 steps; SQNR 5.9 dB.`"""
    layer = origin["layer"]
    if layer is None or layer["mismatch_share"] is None:
        return ""
    if layer["finite_only"]:
        return f"{share(layer['mismatch_share'])} of {plain(layer['elements'])} elements differ."
    differ = "differ by more than a step" if beyond_a_step(layer) else "differ"
    most = f", by up to {plain(layer['max_step'])} steps" if layer["max_step"] is not None else ""
    level_db = f"; SQNR {level(layer['sqnr_db'], layer)} dB" if layer["sqnr_db"] is not None else ""
    return f"{share(layer['mismatch_share'])} of {plain(layer['elements'])} elements {differ}{most}{level_db}."


def _without_title(detail: str, title: str) -> str:
    """The detail without its first clause, where the title begins with the same words."""
    clause, gap, rest = detail.partition("; ")
    return f"{rest[:1].upper()}{rest[1:]}." if gap and title.lower().startswith(clause) else detail


def _against_itself(run: Run) -> tuple[str, str] | None:
    """Title and subject of a run whose repeats were held against each other and against no reference."""
    kinds = list(run.checks.determinism.values())
    if run.comparison or not kinds:
        return None
    runs = max(repeats.runs for repeats in kinds)
    unstable = [repeats for repeats in kinds if repeats.deterministic is False]
    if unstable:
        worst = max(reversed(unstable), key=lambda repeats: len(repeats.unstable))  # debug, where as many
        order = " in file order" if worst.order == "files" else ""
        return f"Not compared with a reference; {runs} repeats differ, first{order} at", worst.first
    if not any(repeats.judged for repeats in kinds):
        return f"Not compared with a reference; of {runs} repeats no layer could be compared", ""
    fullest = max(kinds, key=lambda repeats: repeats.judged + len(repeats.undecided))
    seen = f"{fullest.judged} of {fullest.judged + len(fullest.undecided)}"
    return f"Not compared with a reference; {runs} repeats agree in every layer compared ({seen})", ""


def _stopped(run: Run, verdict: Verdict, coverage: Row | None, counts: dict[str, int]) -> Row:
    state = run.state
    title = _STATES.get(state, f"Not finished ({state})" if state else "Not finished")
    failures = [_failure(mode) for mode in run.modes]
    if not any(verdict.detail in failure for failure in failures):
        failures.append(verdict.detail)
    sentences = [*failures, *_damaged(run), coverage_sentence(coverage, counts) or _nothing(run)]
    return {
        "word": state,
        "tone": "stop",
        "title": f"{title} at" if run.stopped_at else title,
        "subject": run.stopped_at,
        "quantization": quantization_sentence(run),
        "sentences": list(dict.fromkeys(sentence for sentence in sentences if sentence)),
    }


def _nothing(run: Run) -> str:
    """What a run without a comparison does not tell either: silence is never read as good."""
    return "Nothing was compared." if run.profile else "Nothing was timed and nothing was compared."


def _failure(mode: ModeOfRun) -> str:
    return f"{mode.mode}: {mode.failure.message}" if mode.failure else ""


def _with_subject(word: str, title: str, origins: list[Row], comparison: Comparison | None) -> tuple[str, str]:
    if word != "diverges":
        return title, ""
    if not origins:
        first = comparison.first_difference if comparison else ""
        return ("Diverges: first difference at", first) if first else (title, "")
    origin = origins[0]
    if origin["op_kind"] == "input":
        return "Diverges: the board's input differs from the reference's:", origin["op"]
    if origin["how"] == "sequence":
        return "Diverges: first difference in file order at", origin["op"]
    if origin["unseen"] or origin["first"]:
        return "Diverges at or before", origin["op"]
    return ("Diverges at" if origin["certain"] else "Diverges, suspected at"), origin["op"]


def _fault(origins: list[Row], word: str) -> list[str]:
    """Kind of fault and evidence of the first origin, then how many more there are."""
    if word != "diverges" or not origins:
        return []
    sentences = []
    print_ = origins[0]["fingerprint"]
    if print_:
        sentences.append(fault_sentence(print_))
    if origins[0]["unseen"]:
        sentences.append(f"{plural(len(origins[0]['unseen']), 'op')} before it could not be compared.")
    if len(origins) > 1:
        sentences.append(f"{plural(len(origins) - 1, 'further origin')}: {', '.join(_short(o) for o in origins[1:4])}.")
    return sentences


COUNTED = ("consistent", "consistent_within")
_MOST_OUTPUTS = 2


def effect_sentences(outputs: list[Row]) -> list[str]:
    """What is left of the difference at the network's outputs; outputs whose answer changes come first."""
    ordered = sorted(outputs, key=lambda row: row.get("top1_same") is not False)
    sentences = [sentence for row in ordered[:_MOST_OUTPUTS] if (sentence := _effect(row))]
    return sentences + (
        [f"{len(ordered) - _MOST_OUTPUTS} further outputs: see below."] if len(ordered) > _MOST_OUTPUTS else []
    )


def _effect(row: Row) -> str:
    name, size = shortened(row.get("name"), 80), _size(row)
    if row.get("top1_same") is True:
        return f"At output {name} the top-1 is the same, {plain(row.get('top1_board'))}; {size}."
    if row.get("top1_same") is False:
        board, reference = plain(row.get("top1_board")), plain(row.get("top1_reference"))
        return f"At output {name} the top-1 changes: {board} on the board, {reference} on the PC; {size}."
    return f"At output {name}: {size}."


def _size(row: Row) -> str:
    error = number(row.get("relative_l2"))
    if row["finite_only"]:
        return "NaN or infinity differ"
    if error is None:
        return "relative L2 not defined"
    return "equal values" if error == 0 and row["mismatched"] == 0 else f"relative L2 {small(error, row)}"


def _waived(waivers: list[Row]) -> list[str]:
    """How many layers are good by a waiver only, and how many waivers no longer help."""
    held = {state: sum(row["state"] == state for row in waivers) for state in ("accepted", "ended", "exceeded")}
    words = {
        "accepted": "accepted by a waiver",
        "ended": "with an expired waiver",
        "exceeded": "exceeding a waiver",
    }
    parts = [f"{plural(count, 'layer')} {words[state]}" for state, count in held.items() if count]
    return [f"{'; '.join(parts)}."] if parts else []


def _other_run(answer: DebugVsRelease | None, word: str) -> list[str]:
    """That layers were seen in a run that computes something else than the plain one; unstable runs say it already."""
    if answer is None or answer.same is not False or word == "not_deterministic":
        return []
    return [f"Dumping changes the results: {answer.detail.rstrip('.')}."]


def _is_said(origins: list[Row], word: str, verdict: Verdict, compared: Verdict | None) -> bool:
    """Whether the comparison's own words say what stands there already: the origins, or what the coverage counts."""
    told_above = word in COUNTED or (bool(origins) and word == "diverges")
    return told_above and compared is not None and verdict.detail == compared.detail


def _short(origin: Row) -> str:
    """Name and kind of fault of a further origin."""
    mark = origin["fingerprint"]
    kind = "" if mark is None or mark["kind"] == "unclassified" else mark["kind"].replace("_", " ")
    likely = "" if not kind or mark["certain"] else "likely "
    return f"{shortened(origin['op'], 80)}{f' ({likely}{kind})' if kind else ''}"


_SPELLED = {"nan": "NaN", "inf": "infinity"}


def fault_sentence(fingerprint: Row) -> str:
    """`Zeroed column: evidence`, or `Looks like ...` where the evidence admits something else."""
    kind = _SPELLED.get(fingerprint["kind"], fingerprint["kind"].replace("_", " "))
    if kind == "unclassified":
        return f"Unknown fault kind: {fingerprint['evidence'].rstrip('.')}."
    named = kind[:1].upper() + kind[1:] if fingerprint["certain"] else f"Looks like {kind}"
    evidence = fingerprint["evidence"].rstrip(".")
    return f"{named}: {evidence}." if evidence else f"{named}."


def plural(count: object, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{plain(count)} {noun}{'' if count == 1 else 's'}"


def coverage_sentence(coverage: Row | None, counts: dict[str, int]) -> str:
    """`61 of 64 layers compared, 98.2 % of bytes: 1 origin, 26 propagated, 3 not compared.`"""
    if coverage is None:
        return ""
    parts = f"{plain(coverage['layers_compared'])} of {plural(coverage['layers_total'], 'layer')} compared"
    if coverage["bytes_share"] is not None:
        parts += f", {share(coverage['bytes_share'])} of bytes"
    if not counted(counts):
        return f"{parts}."
    inputs: dict[str, int] = coverage["inputs"]
    layers = {name: count - inputs.get(name, 0) for name, count in counts.items()}
    if sum(layers.values()) == coverage["layers_total"]:
        fed = sum(inputs.values())
        word = f"network {'input' if fed == 1 else 'inputs'}"
        return f"{parts}: {counted(layers)}{f'; {word}: {counted(inputs)}' if fed else ''}."
    return f"{parts}. Of {plain(sum(counts.values()))} rows: {counted(counts)}."


def counted(counts: dict[str, int]) -> str:
    """`1 origin, 26 propagated`: the standings that occur, worst first."""
    return ", ".join(f"{plain(count)} {WORDS[name]}" for name, count in counts.items() if count)

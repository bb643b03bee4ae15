"""A whole night judged: votes of boards, incidents told from tickets, one sentence and one exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.consistency.checks.repeatability import vote
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.nightly.known import KnownIssue, fingerprint_of, with_known
from harness.nightly.verdicts import OF_THE_BOARD
from harness.records.nights import CELL_WORDS, CaseVote, Cell, Incident, Night, Ticket

FEWEST_ALARMS = 2  # of one board: a single one says nothing of the board
BAD_WORDS = ("differs", "slower")
MOST_NAMED = 4  # boards or cases in a sentence


def judged(night: Night, incident_percent: float = 20.0, issues: Sequence[KnownIssue] = (), today: str = "") -> Night:
    """The night with votes, incidents, tickets, sentence and exit code. Its cells have ended, or were stopped.

    `issues` that are open on `today` (YYYY-MM-DD) are known: their tickets do not turn the night red unless worse.
    """
    votes = tuple(_votes(night.cells))
    incidents = (*_dissenting(votes, night.cells), *_slower_boards(night.cells))
    incidents = (*incidents, *_alarming(night.cells, incident_percent))
    incidents = (*_once(incidents), *_unwell(night, incidents))
    cells = tuple(_blamed(cell, incidents) for cell in night.cells)
    tickets = tuple(with_known(one, cells, issues, today) for one in _tickets(night.suite, cells))
    night = replace(night, cells=cells, votes=votes, incidents=incidents, tickets=tickets)
    return replace(night, sentence=sentence_of(night), exit_code=exit_code_of(night))


def is_alarm(cell: Cell) -> bool:
    """Whether a cell speaks against its model or its board."""
    return cell.word in BAD_WORDS or (cell.word == "unmeasured" and cell.reason in OF_THE_BOARD)


# --------------------------------------------------------------------------- votes


def _votes(cells: Sequence[Cell]) -> Iterator[CaseVote]:
    """Where boards ran one model of one case, what each gave is held against the others'."""
    groups: dict[tuple[str, str], dict[str, Mapping[str, str]]] = {}
    for cell in cells:
        if cell.outputs and cell.word != "unmeasured":
            groups.setdefault((cell.case, cell.model_md5), {})[cell.board] = cell.outputs
    for (case, md5), boards in groups.items():
        if len(boards) > 1:
            yield CaseVote(case, md5, tuple(boards), vote(boards))


def _dissenting(votes: Sequence[CaseVote], cells: Sequence[Cell]) -> Iterator[Incident]:
    """A board that stands against a majority, and differs from the reference too, is at fault; the model is not."""
    differing = {(cell.case, cell.board) for cell in cells if cell.word == "differs"}
    for one in votes:
        for board in one.vote.dissenting:
            if (one.case, board) in differing:
                others = len(one.boards) - len(one.vote.dissenting)
                yield Incident(board, "vote", f"it gives other values than {others} other boards", (one.case,))


# --------------------------------------------------------------------------- alarms


def _alarming(cells: Sequence[Cell], incident_percent: float) -> Iterator[Incident]:
    """More than that share of one board's cells alarms, and the same cases are quiet on most other boards."""
    for board in dict.fromkeys(cell.board for cell in cells):
        own = [cell for cell in cells if cell.board == board and cell.state == "ended" and _counts(cell)]
        alarms = [cell for cell in own if is_alarm(cell) and not _is_explained(cell) and not _is_shared(cell, cells)]
        if len(alarms) >= FEWEST_ALARMS and len(alarms) * 100 > incident_percent * len(own):
            words = Counter(cell.reason or cell.word for cell in alarms)
            detail = ", ".join(f"{count} {word}" for word, count in words.most_common())
            yield Incident(
                board, "alarms", f"{len(alarms)} of its {len(own)} cells alarm: {detail}", tuple(c.case for c in alarms)
            )


def _is_explained(cell: Cell) -> bool:
    """Whether a sitting proved the model slower on this very board, or nights have said that it is the board."""
    alarms = ("confirmed", "known", "lasting")
    return cell.word == "slower" and cell.latency is not None and cell.latency.alarm in alarms


def _slower_boards(cells: Sequence[Cell]) -> Iterator[Incident]:
    """Boards whose latency moved for good with the models that they had; not where most boards' did."""
    for board in dict.fromkeys(cell.board for cell in cells):
        own = [cell for cell in cells if cell.board == board and cell.word == "slower" and cell.latency is not None]
        lasting = [cell for cell in own if cell.latency and cell.latency.alarm == "lasting"]
        lasting = [cell for cell in lasting if not _is_shared(cell, cells)]
        if lasting:
            percents = [cell.latency.percent or 0.0 for cell in lasting if cell.latency]
            detail = f"{max(percents):+.1f} % with the same models" + (
                f" in {len(lasting)} cases" if len(lasting) > 1 else ""
            )
            yield Incident(board, "slower", detail, tuple(cell.case for cell in lasting))


def _counts(cell: Cell) -> bool:
    return cell.reason not in ("budget", "stopped", "maintenance", "bad", "host", "input", "bug")


def _is_shared(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Whether most other boards give the same in this case: then it is the case's, not this board's.

    A bad word is held against boards that measured; a board that is away excuses none that computes something else.
    """
    others = [one for one in cells if one.case == cell.case and one.board != cell.board and one.state == "ended"]
    heard = [one for one in others if _counts(one) and (cell.word == "unmeasured" or one.word != "unmeasured")]
    same = sum((one.word, one.reason) == (cell.word, cell.reason) for one in heard)
    return bool(heard) and same * 2 >= len(heard)


def _once(incidents: Sequence[Incident]) -> list[Incident]:
    """One incident a board and kind, with all its cases."""
    merged: dict[tuple[str, str], Incident] = {}
    for one in incidents:
        before = merged.get((one.board, one.kind))
        merged[one.board, one.kind] = (
            replace(one, cases=tuple(dict.fromkeys((*before.cases, *one.cases)))) if before else one
        )
    return list(merged.values())


def _unwell(night: Night, before: Sequence[Incident]) -> Iterator[Incident]:
    """Boards that a health check, or trouble in a row, made bad this night."""
    named = {one.board for one in before}
    for board in night.boards:
        if board.after == "bad" and board.name not in named:
            cases = tuple(c.case for c in night.cells if c.board == board.name and c.word == "unmeasured")
            yield Incident(board.name, "health", board.remark or "bad", cases)


def _blamed(cell: Cell, incidents: Sequence[Incident]) -> Cell:
    is_explained = any(one.board == cell.board and cell.case in one.cases for one in incidents)
    return replace(cell, blamed="board" if is_explained and (is_alarm(cell) or cell.word == "unmeasured") else "")


# --------------------------------------------------------------------------- tickets


def _tickets(suite: str, cells: Sequence[Cell]) -> Iterator[Ticket]:
    """One a case and word, however many boards it is seen on; what an incident explains is none."""
    for case in dict.fromkeys(cell.case for cell in cells):
        own = [cell for cell in cells if cell.case == case]
        heard = [cell for cell in own if cell.word not in ("", "unmeasured") and not cell.blamed]
        for word in BAD_WORDS:
            bad = [cell for cell in heard if cell.word == word]
            if bad:
                first = bad[0]
                detail = first.latency.sentence if word == "slower" and first.latency else first.detail
                boards = tuple(cell.board for cell in bad)
                yield Ticket(case, word, boards, detail, len(bad) == len(heard), fingerprint_of(suite, word, bad))


# --------------------------------------------------------------------------- the whole


def counts_of(night: Night) -> dict[str, int]:
    """Cells by word, in the order of CELL_WORDS; without those that are none."""
    counts = Counter(cell.word for cell in night.cells)
    return {word: counts[word] for word in CELL_WORDS if counts[word]}


def exit_code_of(night: Night) -> int:
    """1 with a ticket that is new or worse; else 3 where nothing was measured, a pair lacks (maintenance aside) or a
    board is at fault."""
    if any(not ticket.known or ticket.worse for ticket in night.tickets):
        return MEASURED_BAD
    words = [cell.word for cell in night.cells]
    if not any(word not in ("", "unmeasured") for word in words):
        return COULD_NOT_MEASURE
    lacking = [cell for cell in night.cells if cell.word in ("", "unmeasured") and cell.reason != "maintenance"]
    return COULD_NOT_MEASURE if lacking or night.incidents else GOOD


def is_sick(night: Night) -> bool:
    """Whether the lab itself is in trouble: nothing was measured at all."""
    return not any(cell.word not in ("", "unmeasured") for cell in night.cells)


def sentence_of(night: Night) -> str:
    """The night in one sentence."""
    total = len(night.cells)
    if is_sick(night):
        reasons = Counter(cell.reason or "waiting" for cell in night.cells)
        why = ", ".join(f"{word} ({count})" for word, count in reasons.most_common(3))
        return f"Nothing was measured in {total} pairs: {why}" if total else "Nothing was to be measured"
    parts = [
        f"{ticket.case} {'differs' if ticket.word == 'differs' else 'is slower'} on {_names(ticket)}{_known(ticket)}"
        for ticket in night.tickets
    ]
    parts += [f"{one.board} is at fault ({one.kind})" for one in night.incidents]
    lacking = sum(cell.word in ("", "unmeasured") for cell in night.cells)
    parts += [f"{lacking} of {total} pairs are unmeasured"] if lacking else []
    good = sum(cell.word in ("pass", "faster", "new") for cell in night.cells)
    if not parts:
        return (
            f"All {total} pairs are good"
            if not any(c.word == "new" for c in night.cells)
            else f"All {total} pairs were measured, none is bad"
        )
    return f"{'; '.join(parts[: 2 * MOST_NAMED])}; {good} of {total} pairs are good"


def _known(ticket: Ticket) -> str:
    worse = f", worse: {ticket.worse}" if ticket.worse else ""
    return f" (known: {ticket.known}{worse})" if ticket.known else ""


def _names(ticket: Ticket) -> str:
    if ticket.everywhere:
        return "every board" if len(ticket.boards) > 1 else ticket.boards[0]
    more = len(ticket.boards) - MOST_NAMED
    return ", ".join(ticket.boards[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")

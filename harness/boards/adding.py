"""`harness boards add`: meet a board, find out what it is, try it, and write it into hosts.yaml.

The order is one that leaves nothing half done: what cannot be is refused before the board is touched, the host key is
agreed on before anything is sent, and the inventory is written last.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

from harness import config, platforms
from harness.agent import Agent, BoardFacts
from harness.boards import hostkeys, hosts_file, inventory
from harness.boards.connect import open_board
from harness.boards.flat import compose
from harness.boards.hosts_checks import complaints, read_address
from harness.boards.hosts_edit import Entry, NotSafe, block, new_file, with_board
from harness.boards.lease import hold_board_lease
from harness.emulator import built_in
from harness.errors import BoardError, ConfigError, HarnessError, UserError
from harness.files.locks import changing
from harness.files.safe import output_file
from harness.platforms import probing, recognise
from harness.platforms.probing import Guess, Lack, Seen
from harness.records import Board, BoardFolders, BoardIdentity, Emulated, Invocation
from harness.records.boards import SERVED
from harness.records.callbacks import LogCallback
from harness.transports import Prompt
from harness.transports.base import Transport, printable

ASK_TIMEOUT_S = 60.0  # a small core starts Python in seconds
ENOUGH_KB = 256 * 1024  # a model, an input and some dumps
TRIAL_BYTES = 64 * 1024
TRIAL = 'md5sum <"$1" && echo "host: $(uname -n)"'
SYSTEM_FOLDERS = ("/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/lib", "/usr/lib")
# Free kB at the deepest folder of each path that is there, where it can be written
ROOM = """\
for d in "$@"; do
  case $d in /*) p=$d ;; *) p=$HOME/$d ;; esac
  while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
  [ -w "$p" ] || continue
  df -Pk "$p" | { read -r _; read -r _ _ _ free _; printf '%s\\t%s\\n' "$d" "$free"; }
done
"""

Agree = Callable[[str, str, str, Path], None]  # (where, kind, fingerprint, known_hosts file); raises where it is not it


@dataclass(frozen=True)
class Trial:
    """A tiny run under the agent: pushed, started, waited for, hashed and removed."""

    bytes: int
    push_s: float
    run_s: float


@dataclass(frozen=True)
class Added:
    """What was found and done. `file` is "" where nothing was written, and `text` is the block to paste then."""

    board: Board
    guess: Guess
    facts: BoardFacts
    versions: dict[str, str]
    trial: Trial
    entries: tuple[Entry, ...]
    file: str = ""
    text: str = ""
    already: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> tuple[Lack, ...]:
        return self.guess.lacks

    @property
    def is_ready(self) -> bool:
        """Whether nothing lacks that a run needs."""
        return not any(lack.needed for lack in self.missing)


# --------------------------------------------------------------------------- what was asked for


def asked_board(name: str, login: str, **given: Any) -> Board:
    """The board that a command line means, its platform still open (""). Errors: UserError."""
    address = read_address(login)
    if address is None:
        raise UserError(f"{login!r}: expected USER@HOST", f"for example harness boards add {name} root@192.168.1.10")
    port = given.get("port") or 0
    if address.port and port and address.port != port:
        raise UserError(f"{login!r} and --port {port} give two ports", "give one")
    for wrong in complaints(name, "", "", "ssh", address.host):
        if wrong.key == "platform":
            continue
        raise UserError(wrong.message, wrong.hint.replace("`", "").replace(":", ""))
    flat = {key: given[key] for key in ("identity", "jump") if given.get(key)}
    return compose(name, address=address.host, port=port or address.port or 22, user=address.user, **flat)


def known_already(board: Board, hosts: Path | None) -> Board | None:
    """The board of this name where it is the same one. Errors: ConfigError for another, with what to type."""
    file = target_file(hosts)
    boards = inventory.load_inventory(file) if file.exists() else built_in.boards()
    present = boards.get(board.name)
    if present is None:
        return None
    endpoint, other = board.endpoint, present.endpoint
    same = (other.address, other.port, other.user) == (endpoint.address, endpoint.port, endpoint.user)
    is_own = board.name not in built_in.boards()
    if is_own and same:
        return present
    where = f"{file}:{config.line_of(file, ('boards', board.name))}" if is_own else "built in"
    free = next(f"{board.name}-{n}" for n in range(2, 1000) if f"{board.name}-{n}" not in boards)
    login = f"{endpoint.user}@{endpoint.address}" if endpoint.user else endpoint.address
    shown = f"{other.user}@{other.address}:{other.port}" if other.user else f"{other.address or 'this PC'}:{other.port}"
    raise ConfigError(
        f"{where}: board {board.name!r} already exists, at {shown}",
        f"harness boards add {free} {login}" + (f" --port {endpoint.port}" if endpoint.port != 22 else ""),
    )


def target_file(hosts: Path | None) -> Path:
    """Where the board is written: the inventory that is in use, `--hosts` also where it is not there yet.

    Errors: ConfigError where its folder is not there.
    """
    if hosts is not None and not hosts.exists():
        if not hosts.parent.is_dir():
            raise ConfigError(f"{hosts}: no such folder", "create it")
        return hosts
    return inventory.find_hosts(hosts) or Path("hosts.yaml")


# --------------------------------------------------------------------------- meeting it


def agree_on_keys(board: Board, agree: Agree, prompt: Prompt | None) -> None:
    """See each host's key on the way, hold it against what is recorded, ask `agree` for a new one, record it.

    Errors: HostKeyError for a key that has changed, what `agree` raises, LinkError.
    """
    target = hostkeys.known_hosts_file(board.endpoint)

    def decide(where: str, address: str, port: int, key: hostkeys.HostKey, files: tuple[Path, ...]) -> None:
        known = [one for file in files for one in hostkeys.find(file, address, port) if one.kind == key.kind]
        if any(one.sha256 == key.sha256 for one in known):
            return
        if known:
            raise hostkeys.changed(board.name, where, key, known)
        agree(where, key.kind, key.sha256, target)
        hostkeys.trust(target, address, port, key)

    hostkeys.meet(board, decide, prompt)


def add(board: Board, platform: str, work: str, tell: LogCallback, prompt: Prompt | None = None) -> Added:
    """Connect, look, choose, try; nothing is written yet. Errors: HarnessError."""
    with open_board(board, prompt) as (reached, transport):
        tell("probing the board")
        seen = _look(transport)
        guess = _choose(recognise.guesses(seen), platform, reached.name)
        answers = {name: _ask(transport, argv) for name, argv in guess.ask.items()}
        guess = recognise.heard(guess, answers)
        described, notes = _described(reached, guess, seen)
        folder, why = _room(transport, work, guess.work)
        described = replace(described, folders=replace(described.folders, work=folder))
        agent = Agent.of(transport, described.folders.work, described.limits)
        agent.install()
        facts = agent.hello(tools=(), path=described.environment.tools)
        tell("test run")
        trial = _try(agent, transport, board.name, tell)
    entries = tuple(_entries(described, guess, facts, why))
    return Added(described, guess, facts, _versions(answers), trial, entries, notes=notes)


def _look(transport: Transport) -> Seen:
    argv = ["sh", "-c", probing.SCRIPT, "probe", *recognise.arguments()]
    result = transport.run(argv, timeout_s=ASK_TIMEOUT_S)
    seen = probing.read_answer(result.out.decode("utf-8", "replace"))
    if not seen.whole:
        out = printable((result.err or result.out).decode("utf-8", "replace"))
        raise BoardError(
            f"{transport.where}: no usable shell (exit code {result.code}): {out or 'no output'}",
            "check that the login gives a Linux shell",
        )
    return seen


def _choose(candidates: list[Guess], platform: str, name: str) -> Guess:
    if platform:
        named = next((guess for guess in candidates if guess.platform == platform), None)
        return named or Guess(platform, "", "", "given by --platform; not detected on the board", 0)
    if not candidates or candidates[0].certainty == 0:
        seen = "; ".join(guess.evidence for guess in candidates) or "nothing"
        raise UserError(
            f"{name}: platform not detected ({seen})", f"give it: --platform {', '.join(platforms.names())}"
        )
    return candidates[0]


def _ask(transport: Transport, argv: tuple[str, ...]) -> str:
    """What a version command says; what it lacks is no reason to stop."""
    try:
        result = transport.run(list(argv), timeout_s=ASK_TIMEOUT_S, limit_bytes=2**16)
    except HarnessError as error:
        return f"no answer: {error.message}"
    return (result.out or result.err).decode("utf-8", "replace")


def _versions(answers: dict[str, str]) -> dict[str, str]:
    return {name: printable(", ".join(text.split("\n")[:6]).strip(", "), 200) for name, text in answers.items()}


def _described(board: Board, guess: Guess, seen: Seen) -> tuple[Board, tuple[str, ...]]:
    """The board with what was recognised; an emulated one is marked."""
    emulated = _mark(seen)
    soc = guess.soc or (printable(str(emulated.get("soc", "")), 40) if emulated else "")
    notes = ("emulated board: accelerator times are estimates, not measurements",) if emulated else ()
    identity = BoardIdentity(
        board.name,
        guess.platform,
        soc,
        emulated=Emulated(soc, SERVED) if emulated else None,
        libraries=tuple(folder for folder in guess.libraries if folder not in SYSTEM_FOLDERS),
        options=dict(guess.options),
    )
    tools = tuple(folder for folder in guess.tools if folder not in SYSTEM_FOLDERS)
    return replace(board, identity=identity, environment=replace(board.environment, tools=tools)), notes


def _mark(seen: Seen) -> dict[str, object]:
    try:
        mark = json.loads(seen.files.get(recognise.MARK, ""))
    except (ValueError, RecursionError):
        return {}
    return mark if isinstance(mark, dict) and mark.get("emulated") is True else {}


def _room(transport: Transport, wanted: str, usual: str) -> tuple[str, str]:
    """The work folder, and why it is there: the first place with room, else the one with the most."""
    places = [wanted] if wanted else [p for p in (BoardFolders.work, "/userdata/harness", usual, "/tmp/harness") if p]
    result = transport.run(["sh", "-c", ROOM, "room", *dict.fromkeys(places)], timeout_s=ASK_TIMEOUT_S)
    rows = [line.split("\t") for line in result.out.decode("utf-8", "replace").splitlines()]
    free = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[0] in places and row[1].isdigit()}
    if not free:
        raise BoardError(f"{transport.where}: none of {', '.join(places)} is writable", "give a folder: --work /path")
    chosen = next((place for place in free if free[place] >= ENOUGH_KB), max(free, key=lambda place: free[place]))
    in_memory = "; in RAM, lost at reboot" if chosen.startswith("/tmp") else ""
    return chosen, f"{free[chosen] // 1024} MB free{in_memory}"


def _try(agent: Agent, transport: Transport, name: str, tell: LogCallback) -> Trial:
    """Push, start, wait, read, remove: all that a run needs of a board but a model. Errors: BoardError, LinkError."""
    with (
        tempfile.TemporaryDirectory(prefix="harness-add-") as scratch,
        hold_board_lease(agent.lease, name, nonce=secrets.token_hex(8), wait_s=0, tell=tell),
    ):
        source = Path(scratch, "trial.bin")
        source.write_bytes(secrets.token_bytes(TRIAL_BYTES))
        began = monotonic()
        put = agent.cache.put_file(source)
        push_s = monotonic() - began
        folder = agent.files.new_folder(f"trial-{secrets.token_hex(8)}")
        try:
            began = monotonic()
            state = agent.jobs.wait(agent.jobs.start(Invocation(("sh", "-c", TRIAL, "trial", put.path)), folder, 30.0))
            run_s = monotonic() - began
            log = transport.run(["cat", f"{folder}/log.txt"], timeout_s=ASK_TIMEOUT_S).out.decode("utf-8", "replace")
        finally:
            agent.files.remove(folder)
        transport.run(["rm", "-f", put.path], timeout_s=ASK_TIMEOUT_S)
    if state.exit_code != 0 or put.md5 not in log:
        raise BoardError(
            f"{transport.where}: the test run failed (exit code {state.exit_code}): {printable(log)[:200]}",
            f"check by hand: ssh {transport.where.rpartition(':')[0]}",
        )
    return Trial(TRIAL_BYTES, round(push_s, 3), round(run_s, 3))


# --------------------------------------------------------------------------- writing it down


def _entries(board: Board, guess: Guess, facts: BoardFacts, why_work: str) -> list[Entry]:
    """The keys of hosts.yaml that are not what they would be anyway, each with where it comes from."""
    system = ", ".join(part for part in (facts.arch, facts.os, f"kernel {facts.kernel}") if part)
    image = guess.facts.get("image", "")
    rows = [
        Entry("platform", board.identity.platform, guess.evidence),
        Entry("soc", board.identity.soc, guess.soc_evidence or "reported by the emulated board"),
        Entry("emulated", board.emulated is not None, "emulated: accelerator times are estimates"),
        Entry("address", board.endpoint.address, system + (f", image {image}" if image else "")),
        Entry("port", board.endpoint.port),
        Entry("user", board.endpoint.user),
        Entry("identity", board.endpoint.identity),
        Entry("jump", board.endpoint.jump),
        Entry("work", board.folders.work, why_work),
        Entry("tools", list(board.environment.tools), "prepended to PATH"),
        Entry("libraries", list(board.identity.libraries), "prepended to LD_LIBRARY_PATH"),
        Entry("options", dict(board.identity.options)),
    ]
    usual = {"port": 22, "work": BoardFolders.work}
    return [row for row in rows if row.value and row.value != usual.get(row.key)]


def write(added: Added, file: Path) -> Added:
    """Put the board into hosts.yaml, every other byte as it was. Where that is not safe the text is given back.

    Errors: ConfigError where another process has put another board of that name there meanwhile.
    """
    with changing(file):
        if file.exists() and known_already(added.board, file):
            return replace(added, already=True, file=str(file))
        return _written(added, file)


def _written(added: Added, file: Path) -> Added:
    comment = f"added by harness boards add, {datetime.now(timezone.utc):%Y-%m-%d}"
    name = added.board.name
    lines = block(name, added.entries, comment)
    try:
        before = file.read_bytes().decode("utf-8") if file.is_file() else ""
        text = with_board(before, name, added.entries, comment) if before.strip() else new_file(lines)
    except (NotSafe, UnicodeDecodeError) as error:
        note = f"{file} was not changed: {error}; add this under its `boards:`"
        return replace(added, text="\n".join(lines), notes=(*added.notes, note))
    mode = file.stat().st_mode & 0o7777 if file.is_file() else None
    with output_file(file) as sink:
        sink.write(text.encode("utf-8"))
    if mode is not None:
        file.chmod(mode)
    hosts_file.load_boards(file)  # what was written is what is read
    return replace(added, file=str(file), text="\n".join(lines))

"""The openssh transport: the OpenSSH client with one shared connection (ControlMaster).

For what paramiko cannot do: hardware keys, Kerberos, old algorithms, Match and Include in ssh_config. The user's
ssh_config is honoured by the program itself; host keys are held against the board's known_hosts all the same.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import ConfigError, HarnessError, HostError, HostKeyError, LinkError, LoginError, UserError
from harness.records import Endpoint
from harness.transports import known_hosts
from harness.transports.askpass import answering
from harness.transports.base import CommandTimeout, Paced, Stream, printable
from harness.transports.copying import RemoteShell
from harness.transports.guard import Guard
from harness.transports.passwords import Passwords, hide_environment, how_to_give
from harness.transports.patience import Patience
from harness.transports.pipes import PipeStream

LEFT_ALONE_S = 900  # of the master after its last session, where harness and its guard were both killed
LINK_FAILED = 255  # the exit code of ssh itself
ALIVE_TIMEOUT_S = 5.0
LOGIN_SLOWER = 3.0  # a whole login, times connect_timeout_s


class OpensshTransport(RemoteShell):
    """A master connection in the background; every command is a session on it."""

    def __init__(
        self, endpoint: Endpoint, passwords: Passwords | None = None, patience: Patience | None = None
    ) -> None:
        super().__init__(patience)
        if not endpoint.address:
            raise ConfigError(f"board {endpoint.name} has no address", "add `address:` to it in hosts.yaml")
        if endpoint.identity and not Path(endpoint.identity).expanduser().is_file():
            raise UserError(f"no such key file: {endpoint.identity}", f"correct `identity:` of board {endpoint.name}")
        self._ssh = shutil.which("ssh") or ""
        if not self._ssh:
            raise HostError("ssh is not installed on this PC", "apt-get install openssh-client")
        self._endpoint = endpoint
        self._passwords = passwords or Passwords(endpoint)
        self._lock = threading.Lock()
        # short: the path of a Unix socket has at most 107 bytes
        self._folder = Path(tempfile.mkdtemp(prefix="hssh-"))
        login = f"{endpoint.user}@{endpoint.address}" if endpoint.user else endpoint.address
        self.where = f"{login}:{endpoint.port}"
        self._target = login
        self._guard = Guard(self._folder, self._end_master())
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _options(self) -> list[str]:
        endpoint = self._endpoint
        options = {
            "ControlPath": str(self._folder / "m"),
            "ControlPersist": str(LEFT_ALONE_S),
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known_hosts.known_hosts_file(endpoint)),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "ConnectTimeout": str(max(1, round(self.patience.at_most(endpoint.connect_timeout_s)))),
            "ServerAliveInterval": "4",
            "ServerAliveCountMax": "3",  # a dead peer is noticed after 12 s
            "EscapeChar": "none",
            "RequestTTY": "no",
            "ForwardX11": "no",
            "ForwardAgent": "no",
            "LogLevel": "ERROR",
        }
        config = os.environ.get("HARNESS_SSH_CONFIG")
        words = ["-F", config] if config else []
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        if endpoint.port != 22:
            words += ["-p", str(endpoint.port)]
        if endpoint.identity:
            words += ["-i", str(Path(endpoint.identity).expanduser()), "-o", "IdentitiesOnly=yes"]
        return words + (["-o", f"ProxyCommand={self._jump_command(config)}"] if endpoint.jump else [])

    def _jump_command(self, config: str | None) -> str:
        """A ProxyCommand instead of -J: -J would not hand on where the host keys are recorded."""
        *before, last = self._endpoint.jump.split(",")
        user_host, _, port = last.rpartition(":") if re.search(r":\d+$", last) else (last, "", "22")
        own = known_hosts.known_hosts_file(self._endpoint)
        files = f"UserKnownHostsFile={own} {known_hosts.default_file()} ~/.ssh/known_hosts"
        words = [self._ssh, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", files, "-p", port]
        words += ["-F", config] if config else []
        words += ["-J", ",".join(before)] if before else []
        return " ".join(shlex.quote(word) for word in [*words, "-W", "[%h]:%p", "--", user_host])

    def _connect(self) -> None:
        """Start the master: returns when it is authenticated. Errors: LinkError, HostKeyError.

        Keys first, and nobody is asked; a password only where the board wants one.
        """
        errors = self._start_master([], {})
        if errors is not None and _REFUSED.search(errors):
            password = self._passwords.known() or self._passwords.typed(self.where)
            if password:
                methods = "publickey," * bool(self._endpoint.identity) + "keyboard-interactive,password"
                options = ["BatchMode=no", "NumberOfPasswordPrompts=1", f"PreferredAuthentications={methods}"]
                with answering(self._folder, password) as environment:
                    errors = self._start_master([word for option in options for word in ("-o", option)], environment)
        if errors is not None:
            raise self._explain(errors)

    def _start_master(self, options: list[str], environment: dict[str, str]) -> str | None:
        """What ssh says when it fails; None when the connection stands. ssh takes the first of two equal options."""
        argv = [self._ssh, *options, *self._options(), "-M", "-N", "-f", "--", self._target]
        errors = self._folder / "errors"  # a file: the master keeps its standard error open for ever
        with errors.open("wb") as error_file:
            try:
                result = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=error_file,
                    timeout=self.patience.at_most(LOGIN_SLOWER * self._endpoint.connect_timeout_s),
                    env=hide_environment() | environment,
                    start_new_session=True,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise LinkError(f"{self.where}: the login stalled", "check the board's load") from error
        return errors.read_text(errors="replace") if result.returncode != 0 else None

    def _explain(self, errors: str) -> HarnessError:
        for pattern, message, hint in _REASONS:
            if re.search(pattern, errors, re.IGNORECASE):
                name = self._endpoint.name
                password = how_to_give(name)
                final = pattern in _FINAL and "temporary" not in errors.lower()  # a name server may come back
                kind = LoginError if final else LinkError
                return kind(f"{self.where}: {message}", hint.replace("{password}", password))
        if re.search("host key verification|host identification|host key is known", errors, re.IGNORECASE):
            return self._host_key_error(errors)
        lines = [line for line in errors.splitlines() if line.strip()]
        what = printable(lines[-1]) if lines else "ssh failed"
        return LinkError(f"{self.where}: {what}", f"try: ssh -p {self._endpoint.port} {self._target}")

    def _host_key_error(self, errors: str) -> HarnessError:
        from harness.transports.ssh_login import fetch_key, resolve

        login = resolve(self._endpoint)
        if login.jumps:
            hint = f"known_hosts file: {known_hosts.known_hosts_file(self._endpoint)}"
            return HostKeyError(f"{self.where}: {printable(errors.strip().splitlines()[-1])}", hint)
        kind, blob = fetch_key(login.address, login.port, login.connect_timeout_s)
        new = known_hosts.make_key(login.address, login.port, kind, blob)
        old = known_hosts.find(known_hosts.known_hosts_file(self._endpoint), login.address, login.port)
        if old:
            return known_hosts.changed(login.board, self.where, new, old)
        return known_hosts.unknown(login.board, self.where, new)

    def _ensure(self) -> None:
        if not self._lock.acquire(timeout=self.patience.at_most(LOGIN_SLOWER * self._endpoint.connect_timeout_s)):
            raise LinkError(f"{self.where}: still connecting", "check that the board is on and on this network")
        try:
            if not self._stands():
                self._stop_master()
                self._connect()
        finally:
            self._lock.release()

    @contextmanager
    def _stream(
        self, command: bytes, shown: str, timeout_s: float, stdin: Iterable[bytes] | None, paced: Paced
    ) -> Iterator[Stream]:
        self._ensure()
        words: list[str | bytes] = [self._ssh, *self._options(), "-o", "ControlMaster=no", "--", self._target, command]
        with PipeStream(
            words,
            what=f"{self.where}: {shown}",
            timeout_s=timeout_s,
            stdin=stdin,
            pace=self.pace(paced),
            environment=hide_environment(),
        ) as stream:
            yield _Checked(stream, self.where, shown, self._stands)

    def alive(self) -> bool:
        with suppress(LinkError, HarnessError):
            return self.run(["true"], timeout_s=ALIVE_TIMEOUT_S).code == 0
        return False

    def close(self) -> None:
        if self._folder.exists():
            self._stop_master()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._guard.dismiss()

    def _stands(self) -> bool:
        """Whether the master connection is there; one to a dead peer is, until ssh has noticed."""
        with suppress(subprocess.TimeoutExpired):
            return self._quietly([self._ssh, *self._options(), "-O", "check", "--", self._target]) == 0
        return False

    def _quietly(self, argv: list[str]) -> int:
        limit_s, environment = ALIVE_TIMEOUT_S, hide_environment()
        return subprocess.run(argv, capture_output=True, timeout=limit_s, env=environment, check=False).returncode

    def _end_master(self) -> list[str]:
        return [self._ssh, *self._options(), "-O", "exit", "--", self._target]

    def _stop_master(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._quietly(self._end_master())
        (self._folder / "m").unlink(missing_ok=True)


class _Checked:
    """A PipeStream of ssh: exit code 255 is the link, not the command, when ssh says so or its master is gone.

    A session says nothing when its master ends; a command that ends with 255 leaves the master standing.
    """

    def __init__(self, inner: PipeStream, where: str, shown: str, stands: Callable[[], bool]) -> None:
        self._inner, self._where, self._shown, self._stands = inner, where, shown, stands

    @property
    def code(self) -> int | None:
        return self._inner.code

    @property
    def err(self) -> bytes:
        return self._inner.err

    def __iter__(self) -> Iterator[bytes]:
        yield from self._inner
        if self._inner.code == LINK_FAILED and (_LINK_WORDS.search(self._inner.err) or not self._stands()):
            last_line = self._inner.err.decode("utf-8", "replace").strip().splitlines()[-1:]
            why = f" ({printable(last_line[0])})" if last_line else ""
            raise LinkError(
                f"{self._where}: {self._shown}: the link broke{why}", "check that the board is still on the network"
            )


_LINK_WORDS = re.compile(rb"connection|mux|closed|broken pipe|timed? ?out|master|disconnect|kex", re.IGNORECASE)
_REFUSED = re.compile(r"permission denied", re.IGNORECASE)
_REASONS = [
    (r"connection refused", "connection refused", "check that the board is up, sshd is running, and `port:` is right"),
    (r"could not resolve|name or service", "cannot resolve the host name", "correct `address:` of the board"),
    (r"timed out|no route", "no answer", "check that the board is on and on this network"),
    (_REFUSED.pattern, "the login was refused", "correct `user:` and `identity:`, or give a password: {password}"),
    (r"no matching", "no common algorithm", "allow the board's algorithms in ~/.ssh/config (ssh -vv lists them)"),
]
_FINAL = (r"could not resolve|name or service", _REFUSED.pattern, r"no matching")  # trying again does not help
__all__ = ["CommandTimeout", "OpensshTransport"]

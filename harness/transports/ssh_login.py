"""From a board record to an authenticated paramiko connection: ssh_config, jump hosts, keys, host keys, errors."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import re
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko
from paramiko.config import SSHConfig
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    ConfigParseError,
    PasswordRequiredException,
    SSHException,
)

from harness.errors import ConfigError, HarnessError, LinkError, LoginError, UserError
from harness.records import Endpoint
from harness.transports import known_hosts
from harness.transports.dialing import bounded, dial
from harness.transports.passwords import PREFIX, Passwords, how_to_give
from harness.transports.patience import Patience

LOGIN_SLOWER = 3.0  # a whole login through one host, times connect_timeout_s; people who type are not counted
SLOW_START = 1.5  # a loaded board answers TCP long before its sshd says hello: times connect_timeout_s
# paramiko puts AES-GCM last, yet it is the cheapest where the CPU has AES instructions (-20 to -45 % CPU)
_GCM_FIRST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")

Limited = Callable[[], AbstractContextManager[None]]  # within it a connection that is being made is cut in the end

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its tracebacks are not for the terminal


@dataclass(frozen=True)
class Login:
    """Where to connect and as whom, after ssh_config was asked."""

    board: str  # name in the inventory, for hints
    address: str
    port: int
    user: str
    identities: tuple[str, ...] = ()
    key_files: tuple[Path, ...] = ()  # known_hosts files, the first is written to
    jumps: tuple[Login, ...] = ()
    proxy_command: str = ""
    connect_timeout_s: float = 10.0
    is_jump: bool = False  # on the way: the board's own password is not shown to it

    @property
    def where(self) -> str:
        """As people write it: user@address:port."""
        return f"{self.user}@{self.address}:{self.port}" if self.user else f"{self.address}:{self.port}"


def resolve(endpoint: Endpoint) -> Login:
    """The login of a board: its own fields first, then ~/.ssh/config, then defaults. Errors: ConfigError."""
    if not endpoint.address:
        raise ConfigError(f"board {endpoint.name} has no address", "add `address:` to it in hosts.yaml")
    config = _load_config()
    login = _lookup(config, endpoint.address, endpoint, (known_hosts.known_hosts_file(endpoint),))
    jump_text = endpoint.jump or config.lookup(endpoint.address).get("proxyjump", "")
    jumps = [j for j in jump_text.split(",") if j and j != "none"]
    files = (
        known_hosts.known_hosts_file(endpoint),
        known_hosts.default_file(),
        Path("~/.ssh/known_hosts").expanduser(),
    )
    return Login(**(login.__dict__ | {"jumps": tuple(_jump(config, j, endpoint, files) for j in jumps)}))


def config_file() -> Path:
    """The user's ssh_config; $HARNESS_SSH_CONFIG names another."""
    return Path(os.environ.get("HARNESS_SSH_CONFIG") or "~/.ssh/config").expanduser()


def _load_config() -> SSHConfig:
    path = config_file()
    try:
        return SSHConfig.from_path(str(path)) if path.is_file() else SSHConfig()
    except (ConfigParseError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _lookup(config: SSHConfig, alias: str, endpoint: Endpoint, files: tuple[Path, ...]) -> Login:
    try:
        entry = config.lookup(alias)
    except ConfigParseError as error:
        raise ConfigError(f"{config_file()}: {error}") from error
    identities = [endpoint.identity] if endpoint.identity else list(entry.get("identityfile", []))
    return Login(
        board=endpoint.name,
        address=entry.get("hostname", alias),
        port=endpoint.port if endpoint.port != 22 else int(entry.get("port", 22)),
        user=endpoint.user or entry.get("user", "") or getpass.getuser(),
        identities=tuple(str(Path(i).expanduser()) for i in identities),
        key_files=files,
        proxy_command=entry.get("proxycommand", ""),
        connect_timeout_s=endpoint.connect_timeout_s,
    )


def _jump(config: SSHConfig, text: str, endpoint: Endpoint, files: tuple[Path, ...]) -> Login:
    match = re.fullmatch(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?", text.strip())
    if match is None:
        raise ConfigError(f"board {endpoint.name}: cannot read the jump host {text!r}", "write it as user@host:port")
    stand_in = Endpoint(
        name=endpoint.name,
        user=match["user"] or "",
        port=int(match["port"] or 22),
        identity=endpoint.identity if not config.lookup(match["host"]).get("identityfile") else "",
        connect_timeout_s=endpoint.connect_timeout_s,
        patience_s=endpoint.patience_s,
    )
    return replace(_lookup(config, match["host"].strip("[]"), stand_in, files), is_jump=True)


def connect(login: Login, passwords: Passwords, patience: Patience) -> list[paramiko.SSHClient]:
    """Connect through every jump host, by one try that takes no longer than `patience` has left; the last client is
    the board's. Errors: LinkError, HostKeyError, LoginError."""
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in (*login.jumps, login):
            client = _open(hop, clients[-1] if clients else None, passwords, patience)
            clients.append(client)
    except BaseException:
        close_all(clients)
        raise
    return clients


def close_all(clients: list[paramiko.SSHClient]) -> None:
    """Close the clients, the last that was opened first; one that is gone already is no error."""
    for client in reversed(clients):
        with contextlib.suppress(SSHException, OSError, EOFError):
            client.close()


def _open(
    login: Login, through: paramiko.SSHClient | None, passwords: Passwords, patience: Patience
) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    for path in login.key_files:
        if path.is_file():
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(_Refuse(login))
    with _explained(login):
        sock = _socket(login, through, patience.at_most(login.connect_timeout_s))
        limit_s = patience.at_most(LOGIN_SLOWER * login.connect_timeout_s)

        def limited() -> AbstractContextManager[None]:
            return bounded(limit_s, patience, lambda: _cut(sock))

        try:
            _authenticate(client, login, sock, passwords, limited)
        except BaseException:
            client.close()
            sock.close()
            raise
    return client


def _cut(sock: socket.socket | paramiko.Channel) -> None:
    """End a connection without writing to it; of one through a jump host, the way to that host."""
    while isinstance(sock, paramiko.Channel):
        sock = sock.get_transport().sock
    with contextlib.suppress(OSError, AttributeError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _authenticate(
    client: paramiko.SSHClient, login: Login, sock: socket.socket, passwords: Passwords, limited: Limited
) -> None:
    missing = [i for i in login.identities if not Path(i).is_file()]
    if missing and len(missing) == len(login.identities) and not (login.is_jump or passwords.known()):
        raise UserError(f"{login.where}: no such key file: {missing[0]}", "correct `identity:` of the board")
    arguments = {
        "hostname": login.address,
        "port": login.port,
        "username": login.user,
        "key_filename": [i for i in login.identities if i not in missing] or None,
        "look_for_keys": not login.identities,
        "allow_agent": True,
        "sock": sock,
        "timeout": login.connect_timeout_s,
        "banner_timeout": SLOW_START * login.connect_timeout_s,
        "auth_timeout": SLOW_START * login.connect_timeout_s,
        "channel_timeout": 15.0,
        "transport_factory": _transport,
    }
    try:
        with limited():
            client.connect(**arguments)  # type: ignore[arg-type]
    except TimeoutError as error:
        if (transport := client.get_transport()) is not None and not transport.remote_version:
            raise SSHException(f"no banner: {error}") from error  # which of two bounds was shorter says nothing
        raise
    except SSHException as error:
        transport = client.get_transport()
        no_key = "no authentication methods" in str(error).lower()
        if not (no_key or isinstance(error, AuthenticationException)) or transport is None or not transport.is_active():
            raise
        if not _by_password(transport, login, error, passwords, limited):
            raise (AuthenticationException("no key and no password") if no_key else error) from None


def _by_password(
    transport: paramiko.Transport, login: Login, refused: SSHException, passwords: Passwords, limited: Limited
) -> bool:
    """Log in with a password, or with a key that one opens; False when there is none."""
    key = login.identities[0] if login.identities and isinstance(refused, PasswordRequiredException) else ""
    known = "" if login.is_jump else passwords.known()
    password = known or passwords.typed(f"the key {key}" if key else login.where)
    with limited():  # from when a person has typed
        if password and key:
            transport.auth_publickey(login.user, _unlocked(key, password))
        elif password:
            transport.auth_password(login.user, password)
    return bool(password)


def _unlocked(file: str, passphrase: str) -> paramiko.PKey:
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):  # PKey.from_path takes no passphrase (5.1)
        with contextlib.suppress(SSHException, ValueError):
            return kind.from_private_key_file(file, passphrase)
    raise AuthenticationException(f"wrong passphrase for the key {file}")


def _transport(sock: socket.socket, **arguments: object) -> paramiko.Transport:
    transport = paramiko.Transport(sock, **arguments)  # type: ignore[arg-type]
    options = transport.get_security_options()
    others = [c for c in options.ciphers if c not in _GCM_FIRST]
    options.ciphers = [*(c for c in _GCM_FIRST if c in options.ciphers), *others]
    return transport


def _socket(login: Login, through: paramiko.SSHClient | None, limit_s: float) -> socket.socket:
    if through is not None:
        transport = through.get_transport()
        assert transport is not None
        target = (login.address, login.port)
        channel = transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=limit_s)
        return channel  # type: ignore[return-value]
    if login.proxy_command and login.proxy_command != "none":
        hidden = [word for name in os.environ if name.startswith(PREFIX) for word in ("-u", name)]
        command = shlex.join(["env", *hidden]) + " " if hidden else ""  # no child is given a secret
        return paramiko.ProxyCommand(command + login.proxy_command)  # type: ignore[return-value]
    return dial(login.address, login.port, limit_s)


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Unknown host keys are refused, always; `harness boards trust` records one."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise refusal(self._login, key.get_name(), key.asbytes())


def refusal(login: Login, kind: str, blob: bytes) -> HarnessError:
    """The error for a host key that was refused: unknown, or another one than was recorded."""
    new = known_hosts.make_key(login.address, login.port, kind, blob)
    old = [key for path in login.key_files for key in known_hosts.find(path, login.address, login.port)]
    if old:
        return known_hosts.changed(login.board, login.where, new, old)
    return known_hosts.unknown(login.board, login.where, new)


def fetch_key(address: str, port: int, timeout_s: float) -> tuple[str, bytes]:
    """A server's host key (kind, blob) without logging in. Errors: LinkError."""
    return _shown_key(Login("", address, port, "", connect_timeout_s=timeout_s), None)


Decide = Callable[[Login, str, bytes], None]  # sees a host's key before anything is sent to that host


def meet(endpoint: Endpoint, passwords: Passwords, decide: Decide) -> None:
    """Walk to a board, through its jump hosts, and let `decide` see each host key in turn.

    Errors: LinkError; what `decide` raises; HostKeyError for a jump host whose key it did not record.
    """
    login = resolve(endpoint)
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in (*login.jumps, login):
            through = clients[-1] if clients else None
            decide(hop, *_shown_key(hop, through))
            if hop is not login:
                clients.append(_open(hop, through, passwords, Patience(endpoint.patience_s)))
    finally:
        close_all(clients)


def _shown_key(login: Login, through: paramiko.SSHClient | None) -> tuple[str, bytes]:
    with _explained(login):
        sock = _socket(login, through, login.connect_timeout_s)
        transport = _transport(sock)
        transport.banner_timeout = login.connect_timeout_s
        try:
            transport.start_client(timeout=login.connect_timeout_s)
            key = transport.get_remote_server_key()
            return key.get_name(), key.asbytes()
        finally:
            transport.close()
            sock.close()


@contextlib.contextmanager
def _explained(login: Login) -> Iterator[None]:
    """Foreign errors of connecting, as LinkErrors that say what, where and what to try."""
    try:
        yield
    except BadHostKeyException as error:
        raise refusal(login, error.key.get_name(), error.key.asbytes()) from error
    except (SSHException, OSError, EOFError) as error:
        message, hint = _explain(login, error)
        kind = LoginError if _final(error) else LinkError
        raise kind(f"{login.where or login.address}: {message}", hint) from error


def _final(error: Exception) -> bool:
    """Whether trying again cannot help: what is wrong is the name, the login, or what both ends can do."""
    text = str(error).lower()
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    if isinstance(error, AuthenticationException):
        return "timeout" not in text and "transport shut down" not in text
    return isinstance(error, SSHException) and "no acceptable" in text


def _explain(login: Login, error: Exception) -> tuple[str, str]:
    text = str(error)
    for kind, words, message, hint in _REASONS:
        if isinstance(error, kind) and words in text.lower():
            return message.format(login=login, text=text), hint.format(login=login, password=how_to_give(login.board))
    return f"cannot connect: {text or type(error).__name__}", f"try: ssh -p {login.port} {login.user}@{login.address}"


# (exception, words in its text, message, hint); the first that fits wins
_REASONS: list[tuple[type[Exception], str, str, str]] = [
    (
        PasswordRequiredException,
        "",
        "the private key is encrypted",
        "add it to ssh-agent, or give the passphrase: {password}",
    ),
    (AuthenticationException, "timeout", "the login stalled: no answer to authentication", "check the board's load"),
    (
        AuthenticationException,
        "",
        "login as {login.user} was refused ({text})",
        "correct `user:` and `identity:`, or give a password: {password}",
    ),
    (ChannelException, "", "the jump host cannot reach it ({text})", "correct `address:` and `jump:`"),
    (
        SSHException,
        "no acceptable",
        "the server offers only obsolete algorithms ({text})",
        "set `transport: openssh` for this board, and allow the algorithms in ~/.ssh/config",
    ),
    (
        SSHException,
        "banner",
        "no SSH banner (not an SSH port, or the board is overloaded)",
        "check `port:`",
    ),
    *(
        (SSHException, words, "no SSH banner (not an SSH port, or the host is overloaded)", "check `port:`")
        for words in ("protocol version", "no existing session")
    ),
    (socket.gaierror, "", "cannot resolve the host name ({text})", "correct `address:` of the board"),
    (
        ConnectionRefusedError,
        "",
        "connection refused",
        "check that the board is up, sshd is running, and `port:` is right",
    ),
    (TimeoutError, "login", "{text}", "check the board's load"),
    (
        TimeoutError,
        "",
        "no answer within {login.connect_timeout_s:g} s",
        "check that the board is on and on this network",
    ),
]

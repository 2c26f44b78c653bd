"""The server: a socket that is bound before anything is printed, and uvicorn on it."""

from __future__ import annotations

import getpass
import ipaddress
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from selfreward.errors import StoreError, ViewerError
from selfreward.storage.run import RUN
from selfreward.viewer.security import Access


def serve(runs_dir: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Show the runs of a directory until Ctrl-C.

    Raises:
        StoreError: there is no such directory.
        ViewerError: the address cannot be used.
    """
    import uvicorn

    from selfreward.viewer.app import make_app

    check_runs_dir(runs_dir)
    access = access_for(host)
    listening = listen(host, port)
    address, taken = listening.getsockname()[:2]
    for line in greeting(runs_dir, address, taken, access, os.environ):
        say(line)
    # h11 bounds the size of a request's head; an access log would hold the token.
    config = uvicorn.Config(
        make_app(runs_dir, access),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        say("no longer served")


def check_runs_dir(runs_dir: Path) -> None:
    """Raises StoreError where there can be no runs."""
    if (runs_dir / RUN).is_file():
        raise StoreError(f"{runs_dir}: is one run; show the directory that it is in: selfreward view {runs_dir.parent}")
    if not runs_dir.is_dir():
        raise StoreError(f"{runs_dir}: no such directory; name the one that your runs are in: selfreward view DIR")


def access_for(host: str) -> Access:
    """Who may ask a server at an address: anybody on this machine, or whoever knows the token."""
    if is_loopback(host):
        return Access()
    names = {"localhost", host, socket.gethostname(), socket.getfqdn()}
    return Access(names=frozenset(name.lower() for name in names), token=secrets.token_urlsafe(32))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_all_addresses(host: str) -> bool:
    """Whether it stands for all of this machine's addresses, and is none that can be opened."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, port 0 for any that is free.

    Raises:
        ViewerError: it cannot be.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ViewerError(
            f"{host}:{port}: cannot be listened on ({error.strerror or error}); give another --port, or --port 0 for "
            "any that is free"
        ) from error


def greeting(runs_dir: Path, host: str, port: int, access: Access, environ: Mapping[str, str]) -> list[str]:
    """What a user is told at the start."""
    everywhere = _is_all_addresses(host)
    shown = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    path = "" if access.token is None else f"?token={access.token}"
    lines = [f"{runs_dir}: http://{shown}:{port}/{path}"]
    if access.token is not None:
        lines.append("This address holds the token that the page asks for; it is printed this once.")
    if everywhere:
        lines.append("Where it is not found, give an address by which this machine is known as --host.")
    if "SSH_CONNECTION" in environ and access.token is None:
        _, _, server, ssh_port = (*environ["SSH_CONNECTION"].split(), "", "", "", "")[:4]
        at = "" if ssh_port in ("", "22") else f"-p {ssh_port} "
        lines.append("To see it from your own machine, run there, and open the same address:")
        lines.append(f"  ssh -N -L {port}:{shown}:{port} {at}{getpass.getuser()}@{server or 'SERVER'}")
    lines.append("Ctrl-C ends it.")
    return lines

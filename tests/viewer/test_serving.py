"""Before the server runs: its address, who may ask, and what it says."""

import socket
from pathlib import Path

import pytest

from selfreward.errors import StoreError, ViewerError
from selfreward.storage.run import RunStore
from selfreward.viewer.security import Access
from selfreward.viewer.serving import access_for, check_runs_dir, greeting, listen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.7"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert access_for(host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "server.example"])
def test_other_addresses_need_a_token(host: str) -> None:
    first, second = access_for(host), access_for(host)
    assert first.token is not None
    assert len(first.token) >= 32
    assert first.token != second.token


def test_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ViewerError, match="give another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_unknown_address_is_said() -> None:
    with pytest.raises(ViewerError, match=r"192\.0\.2\.1:0: cannot be listened on"):
        listen("192.0.2.1", 0)


def test_one_run_is_not_a_directory_of_runs(finished_run: RunStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"selfreward view {finished_run.path.parent}"):
        check_runs_dir(finished_run.path)
    with pytest.raises(StoreError, match="no such directory"):
        check_runs_dir(tmp_path / "none")
    check_runs_dir(finished_run.path.parent)


def test_greeting_on_this_machine() -> None:
    assert greeting(Path("runs"), "127.0.0.1", 8400, Access(), {}) == [
        "runs: http://127.0.0.1:8400/",
        "Ctrl-C ends it.",
    ]


@pytest.mark.parametrize(("port", "option"), [("22", ""), ("2222", "-p 2222 ")])
def test_greeting_over_ssh_has_the_tunnel(monkeypatch: pytest.MonkeyPatch, port: str, option: str) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    found = greeting(Path("runs"), "127.0.0.1", 8400, Access(), {"SSH_CONNECTION": f"10.0.0.9 5000 10.0.0.5 {port}"})
    assert f"  ssh -N -L 8400:127.0.0.1:8400 {option}ada@10.0.0.5" in found


def test_greeting_says_the_token_once() -> None:
    said = "\n".join(greeting(Path("runs"), "fe80::1", 8400, Access(token="secret"), {"SSH_CONNECTION": "a b c d"}))
    assert said.count("secret") == 1
    assert "http://[fe80::1]:8400/?token=secret" in said
    assert "ssh" not in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_are_opened_by_a_name_that_is_let_in(host: str) -> None:
    access = access_for(host)
    said = greeting(Path("runs"), host, 8400, access, {})
    assert said[0] == f"runs: http://{socket.gethostname()}:8400/?token={access.token}"
    assert socket.gethostname().lower() in access.names
    assert "as --host" in said[2]


def test_listening_is_local_by_default() -> None:
    with listen("127.0.0.1", 0) as made:
        assert made.family == socket.AF_INET
        assert made.getsockname()[0] == "127.0.0.1"

"""Who is answered, and what every answer says to a browser."""

import pytest
from starlette.testclient import TestClient

from selfreward.storage.run import RunStore
from selfreward.viewer.app import make_app
from selfreward.viewer.security import HEADERS, MAX_BODY, Access

TOKEN = "a-token-that-nobody-guesses"
OTHERS = ("/", "/nothing", "/runs/nothing", "/static/viewer.css", "/runs/small/1", "/runs/small/99")


@pytest.fixture
def guarded(finished_run: RunStore) -> TestClient:
    """A server on another address than this machine's own."""
    access = Access(names=frozenset({"localhost", "gpu.example"}), token=TOKEN)
    app = make_app(finished_run.path.parent, access)
    return TestClient(app, base_url="http://gpu.example:8400", follow_redirects=False)


@pytest.mark.parametrize("path", OTHERS)
def test_every_answer_has_every_header(site: TestClient, path: str) -> None:
    found = site.get(path).headers
    assert {name: found[name] for name in HEADERS if name != "cache-control"} == {
        name: value for name, value in HEADERS.items() if name != "cache-control"
    }


def test_policy_allows_no_inline_code_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_refusals_have_the_headers_too(site: TestClient) -> None:
    answer = site.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8400", "LOCALHOST"])
def test_own_names_are_answered(site: TestClient, host: str) -> None:
    assert site.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:84", "localhost.evil.example", "10.0.0.1", "", "[", "127.0.0.1.nip.example"],
)
def test_other_names_are_refused(site: TestClient, host: str) -> None:
    assert site.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["gpu.example", "10.0.0.5:8400", "localhost"])
def test_token_server_knows_its_name_and_addresses(guarded: TestClient, host: str) -> None:
    assert guarded.get("/", headers={"host": host}).status_code == 401


def test_token_server_refuses_other_names(guarded: TestClient) -> None:
    assert guarded.get(f"/?token={TOKEN}", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_is_seen_without_the_token(guarded: TestClient, path: str) -> None:
    for query in ("", "?token=", "?token=wrong", f"?token={TOKEN}x"):
        answer = guarded.get(path + query)
        assert answer.status_code == 401
        assert "small" not in answer.text


def test_token_becomes_a_cookie(guarded: TestClient) -> None:
    answer = guarded.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert guarded.get("/").status_code == 200


def test_wrong_cookie_is_refused(guarded: TestClient) -> None:
    name, value = Access(token=TOKEN).cookie
    for wrong in ("", value[:-1], "é"):
        assert guarded.get("/", headers={"cookie": f"{name}={wrong}".encode()}).status_code == 401


OVERRIDE = "/runs/small/1/pairs/none/override"


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:81", "http://127.0.0.1.evil.example"]
)
def test_writes_from_elsewhere_are_refused(site: TestClient, access: Access, origin: str) -> None:
    headers = {"origin": origin} if origin else {}
    answer = site.post(OVERRIDE, data={"csrf": access.csrf}, headers=headers)
    assert answer.status_code == 403
    assert "own pages" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_writes_without_the_form_token_are_refused(site: TestClient, token: str) -> None:
    answer = site.post(OVERRIDE, data={"csrf": token}, headers={"origin": "http://127.0.0.1"})
    assert answer.status_code == 403
    assert "load the page again" in answer.text


def test_large_forms_are_refused(site: TestClient, access: Access) -> None:
    data = {"csrf": access.csrf, "reason": "x" * MAX_BODY}
    assert site.post(OVERRIDE, data=data, headers={"origin": "http://127.0.0.1"}).status_code == 413


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_can_only_be_read(site: TestClient, method: str) -> None:
    assert site.request(method, "/", headers={"origin": "http://127.0.0.1"}).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/runs/%2e%2e/1",
        "/runs/..%2f..%2fetc/1",
        "/runs/%00",
        "/runs/small%00/1",
        "/runs/*",
    ],
)
def test_paths_of_requests_are_never_opened(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text or "no such run" in answer.text


@pytest.mark.parametrize("path", [f"/runs/small/{'9' * 5000}", f"/runs/small/{'9' * 30}/pairs"])
def test_numbers_without_end_are_no_pages(site: TestClient, path: str) -> None:
    assert site.get(path).status_code == 404


def test_errors_are_pages(finished_run: RunStore, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("selfreward.viewer.pages.runs.run_list", fail)
    app = make_app(finished_run.path.parent, access)
    answer = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False).get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]

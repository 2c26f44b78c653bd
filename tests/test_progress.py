import pytest

from selfreward.progress import Reporter


def test_without_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter().stage("iter-001 responses", 4, 1) as advance:
        advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("iter-001 responses: 4/4, ")
    assert "\x1b" not in err


def test_training_is_told_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter().stage("iter-001 adapter", 1, 0) as advance:
        advance(1)
    assert capsys.readouterr().err == "iter-001 adapter: 100%\n"


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Reporter().stage("iter-001 [bold]responses", 4, 1) as advance:
        advance(4)
    err = capsys.readouterr().err
    assert "iter-001 [bold]responses" in err
    assert "4/4" in err


def test_what_is_said_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter().say("3 [red]of[/red] 4")
    assert capsys.readouterr().err == "3 [red]of[/red] 4\n"

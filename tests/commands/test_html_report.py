"""`selfreward report`: an iteration as one file."""

import re
from pathlib import Path

from fixture_run import NASTY, Command

from selfreward.storage.run import RunStore


def test_report_is_one_file_that_asks_for_nothing(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    code, out, err = command("report", "small", "-i", "1", "-o", "report.html")
    assert (code, out) == (0, "")
    assert "report.html: iteration 1 of small" in err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>small, iteration 1" in page
    assert "Chosen minus rejected" in page
    assert "Name a fruit" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert NASTY not in page
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert not re.search(r"""\b(src|href|action)=["']""", page)


def test_report_of_iteration_0(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    assert command("report", "small", "-i", "0", "-o", "report.html")[0] == 0
    assert "M0" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_is_not_written_over(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine", encoding="utf-8")
    code, _, err = command("report", "small", "-i", "1", "-o", "report.html")
    assert code == 1
    assert "--force writes over it" in err
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "mine"
    assert command("report", "small", "-i", "1", "-o", "report.html", "--force")[0] == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") != "mine"


def test_no_such_iteration(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    code, _, err = command("report", "small", "-i", "7", "-o", "report.html")
    assert code == 1
    assert "no iteration 7" in err
    assert not (tmp_path / "report.html").exists()

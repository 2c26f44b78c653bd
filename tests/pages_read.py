"""The page's answers, read."""

import re

from starlette.testclient import TestClient


def text_of(answer: object) -> str:
    """A page's words, without its tags."""
    page = re.sub(r"<[^>]*>", " ", str(getattr(answer, "text", "")))
    return re.sub(r"\s+", " ", page.replace("&#39;", "'").replace("&#34;", '"').replace("&gt;", ">"))


def follow_every_link(site: TestClient) -> set[str]:
    """All addresses that the front page leads to; each of them answers."""
    seen, waiting = set[str](), ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = site.get(path)
        assert answer.status_code == 200, path
        if "text/html" in answer.headers["content-type"]:
            found = re.findall(r'(?:href|src|action)="([^"#]+)', answer.text)
            assert all(link.startswith("/") for link in found)
            links = {link.replace("&amp;", "&") for link in found} - seen
            waiting += [link for link in links if not link.split("?")[0].endswith("/override")]
            seen |= links
    return seen

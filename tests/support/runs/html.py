"""Pages of HTML that need nothing else: parse and check them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta"}
FORBIDDEN = {"script", "link", "iframe", "img", "object", "embed", "form", "base", "image", "use"}


@dataclass
class Page:
    """What is in a page. ``marks`` are (class, title) of the rectangles that have a title."""

    text: str = ""
    links: list[str] = field(default_factory=list)
    marks: list[tuple[str, str]] = field(default_factory=list)


class _Checked(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.page = Page()
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.rect = ""

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert tag not in FORBIDDEN
        assert len(found) == len(attrs), "an attribute is there twice"
        assert not {name for name in found if name.startswith("on") or name in ("src", "style")}
        if "href" in found:
            assert tag == "a"
            self.page.links.append(found["href"])
        if tag == "rect":
            self.rect = found["class"]
        self.ids += [found["id"]] if "id" in found else []
        self.labels += [found["aria-labelledby"]] if "aria-labelledby" in found else []
        assert found.get("role") not in ("img", "region") or self._label(found), "it has no name"
        if tag not in VOID and not self._closed():
            self.open.append(tag)

    @staticmethod
    def _label(attributes):
        return attributes.get("aria-label") or attributes.get("aria-labelledby")

    def _closed(self):
        return (self.get_starttag_text() or "").endswith("/>")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.page.text += data
        if self.open[-2:] == ["rect", "title"]:
            self.page.marks.append((self.rect, data))


def checked(text: str) -> Page:
    """The page; every element is closed in its turn, and nothing is loaded or run."""
    parser = _Checked()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert set(parser.labels) <= set(parser.ids)
    return parser.page

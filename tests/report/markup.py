"""A page taken apart, and what holds of every one of them."""

import itertools
import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"br", "img", "input", "link", "meta", "wbr"}


class Markup(HTMLParser):
    """Elements as (tag, attributes, text inside), in order; `open` is what was not closed."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.mistakes = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        if not self.open or self.elements[self.open[-1]][0] != tag:
            self.mistakes.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for index in self.open:
            self.elements[index][2] += data

    def all(self, tag, **attributes):
        return [
            element
            for element in self.elements
            if element[0] == tag and all(element[1].get(name) == value for name, value in attributes.items())
        ]


def check(page) -> Markup:
    """What holds of every page, whatever the run."""
    markup = Markup(page)
    assert not markup.mistakes
    assert not markup.open
    ids = Counter(attributes["id"] for _, attributes, _ in markup.elements if "id" in attributes)
    assert not [name for name, times in ids.items() if times > 1]
    targets = [a[1]["href"] for a in markup.all("a")]
    assert all(target[1:] in ids for target in targets if target.startswith("#"))
    others = [target for target in targets if not target.startswith(("#", "data:text/csv", "https://arxiv.org/abs/"))]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+\.zip", target) for target in others) and len(others) <= 1  # beside it
    assert all(image[1]["src"].startswith("data:image/png;base64,") and image[1]["alt"] for image in markup.all("img"))
    assert not [name for _, attributes, _ in markup.elements for name in attributes if name.startswith("on")]
    assert [script[1].get("type") for script in markup.all("script")] in ([None], ["application/json", None])
    levels = [int(tag[1]) for tag, *_ in markup.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    text = " ".join(element[2] for element in markup.elements if element[0] in ("p", "td", "th", "dd", "figcaption"))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)
    return markup

"""The page: what it is given comes out as text, and a real browser does what a reader would."""

import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.page import View
from tests.support.pages import NASTY, VIEWS, view, webp, written


class Page(HTMLParser):
    """Elements with their attributes, and the text of each script, style and title."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.shown = [], [], []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag in ("script", "style", "title")
        if self.inside:
            self.texts.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1][2] += data
        self.shown.append(data)

    def block(self, name):
        [text] = [t for tag, attrs, t in self.texts if attrs.get("id") == name]
        return json.loads(text)


def test_nothing_given_becomes_markup(tmp_path):
    """Every text the page takes, made of what breaks out of HTML, attributes and scripts."""
    odd = View(
        scene=NASTY,
        sensor=NASTY,
        protocol="reduced",
        note=NASTY,
        pictures={NASTY: webp("red"), "PAN": webp("gray")},
        errors={NASTY: webp("blue")},
        indices={NASTY: {NASTY: 1.0}},
        origins={NASTY: NASTY},
    )
    plain = Page(written(tmp_path / "plain.html", [view()]))

    page = Page(written(tmp_path / "index.html", [odd], title=NASTY, facts={NASTY: NASTY}))

    assert "img" in {tag for tag, _ in plain.elements}  # the two of the comparison
    assert 2 == sum(tag == "img" for tag, _ in page.elements)
    assert len([t for t in plain.texts if t[0] == "script"]) == len(
        [t for t in page.texts if t[0] == "script"]
    )
    assert not [a for _, attrs in page.elements for a in attrs if a.startswith("on")]
    assert {"title"} >= {tag for tag, _, text in page.texts if NASTY in text}
    assert 4 <= sum(text == NASTY for text in page.shown)  # title, heading, fact and its name
    [data] = page.block("views")["views"]
    assert [NASTY] * 3 == [data["scene"], data["sensor"], data["note"]]
    assert {NASTY: {NASTY: 1.0}} == data["indices"]


def test_a_strict_policy_names_every_script_by_its_hash(tmp_path):
    """Nothing is allowed but pictures in the page, its own style and its own scripts."""
    page = Page(written(tmp_path / "index.html"))
    [policy] = [a["content"] for t, a in page.elements if "http-equiv" in a]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    scripts = [text for tag, attrs, text in page.texts if tag == "script" and not attrs]
    [style] = [text for tag, _, text in page.texts if tag == "style"]

    def digest(text):
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert "'none'" == allowed["default-src"] == allowed["base-uri"] == allowed["form-action"]
    assert "data:" == allowed["img-src"]
    assert list(map(digest, scripts)) == allowed["script-src"].split()
    assert digest(style) == allowed["style-src"]
    assert "unsafe" not in policy


def test_the_page_asks_for_no_other_file(tmp_path):
    """No address in any attribute, in the style or in the scripts."""
    html = written(tmp_path / "index.html")
    page = Page(html)
    links = [a[k] for _, a in page.elements for k in ("src", "href", "srcset") if k in a]

    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"https?:|//\w+\.\w|url\(|@import", html)
    assert ["index.html"] == [p.name for p in tmp_path.iterdir()]


def test_pictures_are_kept_as_they_came(tmp_path):
    """One block a view, so that a browser parses those it shows."""
    page = Page(written(tmp_path / "index.html"))

    for number, v in enumerate(VIEWS):
        block = page.block(f"pictures-{number}")
        assert v.pictures == {k: b64decode(text) for k, text in block["pictures"].items()}
        assert v.errors == {k: b64decode(text) for k, text in block["errors"].items()}


def test_what_is_missing_is_null(tmp_path):
    """JSON has no NaN, and browsers refuse it."""
    data = Page(written(tmp_path / "index.html")).block("views")

    assert data["views"][0]["indices"]["EXP"] == {"ERGAS": 4.0, "Q2n": None}
    assert {"PNN": "Masi et al. 2016, Table 4"} == data["views"][0]["origins"]
    assert "network" == data["kinds"]["network"]
    assert "soft" == data["kinds"]["GSA soft"]


def test_what_cannot_be_shown_is_refused(tmp_path):
    with pytest.raises(SceneError, match="one of reduced, full, known; got 'wald'"):
        view(protocol="wald")
    with pytest.raises(SceneError, match="needs two pictures; got 1"):
        replace(view(), pictures={"PAN": webp("red")})
    with pytest.raises(SceneError, match="of GSA must be a WebP; it begins with b'GIF89a'"):
        replace(view(), errors={"GSA": b"GIF89a"})
    with pytest.raises(SceneError, match="each of another scene or protocol"):
        written(tmp_path / "index.html", [view(), view()], tables=lambda _: [])
    with pytest.raises(SceneError, match="a page needs views"):
        written(tmp_path / "index.html", [])
    assert [] == list(tmp_path.iterdir())

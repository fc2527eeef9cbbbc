"""The page: what it is given comes out as text, and a real browser does what a reader would."""

import json
import math
import re
import shutil
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from fusiontrain.errors import SceneError
from fusiontrain.page import View, write_page
from fusiontrain.tables import Row, as_html, sensor_tables

HIGH = frozenset({"Q2n", "HQNR"})
METHODS = ("GSA", "GSA soft", "EXP", "network")
NASTY = "</script><!--<script>\"&'<img src=x onerror=alert(1)>$title\u2028"


def webp(colour, side=48) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side), colour).save(file, format="WEBP", lossless=True)
    return file.getvalue()


def view(scene="north", protocol="reduced", sensor="IKONOS", note="a note"):
    reduced = protocol == "reduced"
    seen = {"PAN": webp((90, 90, 90)), "MS": webp((200, 30, 30), 12)}
    index, other = ("ERGAS", "Q2n") if reduced else ("D_S", "HQNR")
    return View(
        scene=scene,
        sensor=sensor,
        protocol=protocol,
        note=note,
        pictures=seen | {m: webp((20 + 40 * i, 60, 120)) for i, m in enumerate(METHODS)},
        errors={m: webp((0, 40 * i, 90), 24) for i, m in enumerate(METHODS)} if reduced else {},
        indices={
            "GSA": {index: 2.5, other: 0.85},
            "GSA soft": {index: 2.25, other: 0.875},
            "EXP": {index: 4.0, other: math.nan},
            "network": {index: 2.0, other: 0.9375},
            "PNN": {index: 1.0},
        },
        origins={"PNN": "Masi et al. 2016, Table 4"},
    )


VIEWS = (view(), view(protocol="full"), view("south", sensor="QuickBird"))


def tables(views):
    rows = [
        Row(
            scene=v.scene,
            sensor=v.sensor,
            protocol=v.protocol,
            method=method,
            indices=found,
            origin=v.origins.get(method, ""),
        )
        for v in views
        for method, found in v.indices.items()
    ]
    return [("By sensor", "".join(map(as_html, sensor_tables(rows, better_high=HIGH))))]


def written(path, views=VIEWS, title="A benchmark", facts=None, tables=tables):
    write_page(
        path,
        title=title,
        facts={"network": "anyband"} if facts is None else facts,
        views=views,
        better_high=HIGH,
        tables=tables(views),
    )
    return path.read_text(encoding="utf-8")


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
    with pytest.raises(SceneError, match="one of reduced, full; got 'wald'"):
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


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install it")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    path = path or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs chromium on the PATH: apt-get install chromium")
    with sync.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    many = {f"index number {i}": 1234.5 + i for i in range(8)}
    wide = replace(
        view("south", sensor="QuickBird", note=NASTY + "x" * 200),
        indices={"GSA": many, "a method with a name of many letters soft": many},
    )
    written(path, [*VIEWS[:2], wide], facts={"network": "y" * 200})
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The page, opened; afterwards: nothing asked of the network, nothing in the console."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(address)
    tab.wait_for_function("document.getElementById('img-left').src.startsWith('data:')")
    yield tab
    tab.close()
    assert address == asked[0]
    assert [] == [url[:80] for url in asked[1:] if not url.startswith(("data:", "blob:"))]
    assert [] == said


def source(page, side):
    return page.get_attribute(f"#img-{side}", "src")


def uri(webp_bytes):
    return f"data:image/webp;base64,{b64encode(webp_bytes).decode()}"


def clip(page):
    """Percent of the left picture that is clipped away on its right."""
    style = page.eval_on_selector("#pane-left", "e => getComputedStyle(e).clipPath")
    return float(re.match(r"inset\(0(?:px|%)? ([\d.]+)(?:%|px)", style)[1])


def wait_for(page, side, picture):
    page.wait_for_function(
        "([id, src]) => document.getElementById(id).src === src", arg=[f"img-{side}", uri(picture)]
    )


def test_it_opens_on_the_network_and_the_best_classical_method(page):
    assert "network" == page.input_value("#right")
    assert "GSA soft" == page.input_value("#left")
    assert uri(VIEWS[0].pictures["network"]) == source(page, "right")
    assert uri(VIEWS[0].pictures["GSA soft"]) == source(page, "left")
    assert ["GSA soft", "network"] == [page.inner_text(f"#tag-{s}") for s in ("left", "right")]


def test_the_mouse_moves_the_divider(page):
    box = page.locator("#handle").bounding_box()
    stage = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert 50 == clip(page)

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + stage["width"] / 4, y, steps=4)
    page.mouse.up()

    assert 25 == pytest.approx(clip(page), abs=0.5)
    assert "75" == page.get_attribute("#handle", "aria-valuenow")
    page.mouse.move(x, y)  # let go: it stays
    assert 25 == pytest.approx(clip(page), abs=0.5)


def test_a_finger_moves_the_divider(browser, address):
    """Touch goes the same way as the mouse."""
    context = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True)
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_function("document.getElementById('img-left').src.startsWith('data:')")
    tab.locator("#handle").scroll_into_view_if_needed()
    box = tab.locator("#handle").bounding_box()
    stage = tab.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = context.new_cdp_session(tab)

    def touch(kind, *points):
        finger.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": px, "y": py} for px, py in points]},
        )

    touch("touchStart", (x, y))
    for part in (0.1, 0.2, 0.3):
        touch("touchMove", (x - part * stage["width"], y))
    touch("touchEnd")

    assert 80 == pytest.approx(clip(tab), abs=1)
    context.close()


def test_the_keyboard_moves_the_divider(page):
    """As a slider does: arrows, Home and End."""
    page.focus("#handle")
    found = [clip(page)]
    for key in ("ArrowLeft", "ArrowRight", "Shift+ArrowRight", "Home", "End"):
        page.keyboard.press(key)
        found.append(clip(page))

    assert [50, 52, 50, 40, 100, 0] == pytest.approx(found)
    assert "slider" == page.get_attribute("#handle", "role")
    assert "100 % GSA soft, 0 % network" == page.get_attribute("#handle", "aria-valuetext")


def test_any_two_can_be_compared(page):
    for side, name in (("left", "PAN"), ("right", "MS"), ("left", "EXP")):
        page.select_option(f"#{side}", name)
        wait_for(page, side, VIEWS[0].pictures[name])

    page.click("#swap")

    wait_for(page, "left", VIEWS[0].pictures["MS"])
    wait_for(page, "right", VIEWS[0].pictures["EXP"])


def test_ms_is_shown_on_the_grid_of_pan(page):
    """As large as the others, and in blocks."""
    page.select_option("#left", "MS")
    wait_for(page, "left", VIEWS[0].pictures["MS"])

    sizes = [page.locator(f"#img-{side}").bounding_box() for side in ("left", "right")]

    assert sizes[0] == sizes[1]
    assert "pixelated" == page.eval_on_selector("#img-left", "e => e.style.imageRendering")


def scale(page):
    return float(page.inner_text("#scale").split()[0])


def test_the_wheel_zooms_where_it_points_and_a_double_click_fits(page):
    """The point under the cursor stays; dragging moves it with the hand."""
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + 0.25 * stage["width"], stage["y"] + 0.4 * stage["height"]

    def under():
        box = page.locator("#img-right").bounding_box()
        return (x - box["x"]) / box["width"], (y - box["y"]) / box["height"]

    fit = scale(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"parseFloat(document.getElementById('scale').textContent) > {fit}")

    assert (0.25, 0.4) == pytest.approx(under(), abs=0.01)
    assert scale(page) == pytest.approx(fit * math.exp(400 / 300), rel=0.02)

    before = page.locator("#img-right").bounding_box()
    page.mouse.down()
    page.mouse.move(x - 40, y - 30, steps=3)
    page.mouse.up()
    after = page.locator("#img-right").bounding_box()
    assert (-40, -30) == pytest.approx((after["x"] - before["x"], after["y"] - before["y"]), abs=1)
    left = page.locator("#img-left").bounding_box()
    assert after == left  # both pictures move as one

    page.mouse.dblclick(x, y)
    assert fit == scale(page)


def test_buttons_zoom(page):
    fit = scale(page)
    page.click("#zoom-in")
    assert scale(page) > fit
    assert "pixelated" == page.eval_on_selector("#img-right", "e => e.style.imageRendering")
    page.click("#reset")
    assert fit == scale(page)


def test_protocol_and_scene_switch(page):
    """What is shown follows; what the other view lacks is chosen anew or cannot be chosen."""
    assert 2 == page.locator("#maps img").count()
    assert "1" in page.inner_text("#scale-row")
    page.check("#protocol input[value=full]", force=True)
    wait_for(page, "right", VIEWS[1].pictures["network"])
    assert 0 == page.locator("#maps img").count()
    assert "No truth is known" in page.inner_text("#maps")
    assert ["D_S", "HQNR"] == [
        text.split("\n")[0] for text in page.locator(".chart figcaption").all_inner_texts()
    ]

    page.select_option("#scene", "south")

    assert page.is_checked("#protocol input[value=reduced]")
    assert page.is_disabled("#protocol input[value=full]")
    assert page.text_content("#note").startswith(NASTY)
    assert ["north", "south"] == page.locator("#scene option").all_inner_texts()
    assert 2 == page.locator("#maps img").count()


def test_bars_are_sorted_and_tell_kinds_apart(page):
    """Best first, what is missing last, published after all of ours."""
    charts = page.locator(".chart")
    [ergas, q2n] = [
        [t.split("\n") for t in charts.nth(i).locator("li").all_inner_texts()] for i in range(2)
    ]

    assert ["network", "GSA soft", "GSA", "EXP", "PNN"] == [name for name, *_ in ergas]
    assert "2.000" == ergas[0][-1]
    assert ["network", "GSA soft", "GSA", "EXP"] == [name for name, *_ in q2n]
    assert ("0.9375", "–") == (q2n[0][-1], q2n[-1][-1])  # noqa: RUF001
    assert "lower is better" in charts.nth(0).inner_text()
    assert "higher is better" in charts.nth(1).inner_text()
    kinds = [charts.nth(0).locator("li").nth(i).get_attribute("class") for i in range(5)]
    assert [
        "network chosen right",
        "soft chosen left",
        "plain",
        "plain",
        "plain published",
    ] == kinds
    fills = (
        charts.nth(0)
        .locator(".fill")
        .evaluate_all(
            """all => all.map((e) => {
            const style = getComputedStyle(e);
            return style.backgroundImage + style.backgroundColor;
        })"""
        )
    )
    assert 4 == len(set(fills))  # network, soft, plain twice, published
    widths = charts.nth(0).locator(".fill").evaluate_all("all => all.map((e) => e.offsetWidth)")
    assert widths[:4] == sorted(widths[:4])


def test_a_press_on_a_bar_compares_it(page):
    page.locator(".chart").first.get_by_role("button", name="EXP").click()

    wait_for(page, "right", VIEWS[0].pictures["EXP"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_everything(browser, address, scheme):
    """At 400 pixels nothing sticks out, before and after a switch; dark is dark."""
    tab = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    tab.goto(address)
    tab.wait_for_function("document.getElementById('img-left').src.startsWith('data:')")

    widths = [tab.evaluate("document.documentElement.scrollWidth")]
    tab.select_option("#scene", "south")
    widths.append(tab.evaluate("document.documentElement.scrollWidth"))

    assert [400, 400] == widths
    rgb = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", rgb)[:3])) < 150) == (scheme == "dark")
    tab.close()


def test_the_browser_keeps_the_policy(browser, address):
    """Even a script that got in could send nothing and load nothing."""
    tab = browser.new_page()
    tab.goto(address)
    asks = {
        "connect-src": "fetch('http://127.0.0.1:9/')",
        "img-src": "new Image().src = 'http://127.0.0.1:9/x.png'",
        "script-src-elem": "document.body.append(Object.assign("
        "document.createElement('script'), { text: 'window.got = 1' }))",
    }

    for directive, ask in asks.items():
        violated = f"""() => new Promise((tell) => {{
            addEventListener("securitypolicyviolation",
                (event) => tell(event.effectiveDirective), {{ once: true }});
            {ask};
        }})"""
        assert directive == tab.evaluate(violated)
    assert tab.evaluate("window.got") is None
    tab.close()


def test_tables_need_no_script(browser, address):
    """They are HTML, ranks and sources included; the comparison says what it needs."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)

    assert "needs JavaScript" in tab.inner_text("noscript")
    assert "2.000" == tab.locator("tr.network b").first.inner_text()
    assert "Masi et al. 2016, Table 4" in tab.locator(".sources").first.inner_text()
    assert not tab.is_visible("#compare")
    context.close()

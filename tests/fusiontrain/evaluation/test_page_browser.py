"""The page in a real browser does what a reader would."""

import math
import re
from base64 import b64encode
from dataclasses import replace

import pytest

from tests.support.pages import NASTY, VIEWS, view, written


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
def opened(browser, address):
    """The page as it opens; afterwards: nothing requested of the network, the console empty."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    requests, messages = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.goto(address)
    tab.wait_for_function("document.getElementById('img-left').src.startsWith('data:')")
    yield tab
    tab.close()
    assert address == requests[0]
    assert [] == [url[:80] for url in requests[1:] if not url.startswith(("data:", "blob:"))]
    assert [] == messages


@pytest.fixture
def page(opened):
    """The first scene one level down, where error maps are."""
    opened.check("#protocol input[value=reduced]", force=True)
    opened.select_option("#left", "GSA soft")
    for side, name in (("left", "GSA soft"), ("right", "network")):
        wait_for(opened, side, VIEWS[0].pictures[name])
    return opened


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


def test_it_opens_on_the_network_beside_gsa_at_full_resolution(opened):
    page = opened
    assert page.is_checked("#protocol input[value=full]")
    assert "network" == page.input_value("#right")
    assert "GSA" == page.input_value("#left")
    assert uri(VIEWS[1].pictures["network"]) == source(page, "right")
    assert uri(VIEWS[1].pictures["GSA"]) == source(page, "left")


def test_without_full_resolution_it_opens_on_the_best_classical_method(browser, tmp_path):
    written(tmp_path / "index.html", VIEWS[:1])
    page = browser.new_page()
    page.goto((tmp_path / "index.html").as_uri())

    wait_for(page, "right", VIEWS[0].pictures["network"])
    wait_for(page, "left", VIEWS[0].pictures["GSA soft"])
    assert ["GSA soft", "network"] == [page.inner_text(f"#tag-{s}") for s in ("left", "right")]
    page.close()


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


def test_bars_say_which_way_is_better(browser, tmp_path):
    """Nearest one first where that is the direction; a number without one is not called lower."""
    known = replace(
        view(protocol="known"),
        indices={
            "EXP": {"S": 0.2, "C": 0.1},
            "GSA": {"S": 1.04, "C": 0.2},
            "network": {"S": 0.99, "C": 0.3},
        },
    )
    written(tmp_path / "index.html", [known])
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    charts = tab.locator(".chart")
    charts.first.wait_for()

    names = [text.split("\n")[0] for text in charts.first.locator("li").all_inner_texts()]
    heads = [charts.nth(i).locator("figcaption").inner_text() for i in range(2)]
    protocol = tab.locator("#protocol input:checked").input_value()
    tab.close()

    assert ["network", "GSA", "EXP"] == names
    assert "nearest one is better" in heads[0]
    assert "neither more nor less is better" in heads[1]
    assert "known" == protocol


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

"""`fusiontrain view` in a browser: DN of files that are plain ramps are seen again."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rio_tiler", reason="needs rio-tiler: pip install 'panprior[view]'")

from tests.support.ramps import FUSED, MS, PAN, H, W, scene, serving

pytestmark = pytest.mark.filterwarnings("ignore")  # of rio-tiler's own use of affine, in threads


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(scene(tmp_path_factory.mktemp("view"))) as running:
        yield running


@pytest.fixture
def page(browser, server):
    """The viewer, opened at 1:1; afterwards: nothing asked elsewhere, nothing in the console."""
    tab = browser.new_page(viewport={"width": 900, "height": 640})
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(server.address)
    settled(tab)
    tab.click("#one")
    tab.select_option("#cut", "0")
    settled(tab)
    yield tab
    tab.close()
    assert [] == [u for u in asked if not u.startswith((server.address, "data:"))]
    assert [] == said


def settled(page):
    page.wait_for_selector("#stage[aria-busy=false]")


def looked(page):
    """What is on the screen: (h, w, 3) of the stage."""
    settled(page)
    with Image.open(BytesIO(page.locator("#canvas").screenshot())) as image:
        found = np.array(image.convert("RGB")).astype(int)
    found[:, :3] = found[:, -3:] = 0  # its place on the page is no whole pixel
    return found


def seen_at(page, x, y):
    """RGB at shares of the stage."""
    image = looked(page)
    return image[round(y * image.shape[0]), round(x * image.shape[1])].tolist()


def pan_pixel(page, x, y):
    """Column and row that the page says lie at shares of the stage, with the mouse there."""
    box = page.locator("#stage").bounding_box()
    page.mouse.move(
        box["x"] + round(x * box["width"]), box["y"] + round(y * box["height"]), steps=2
    )
    return said_pixel(page)


def said_pixel(page):
    settled(page)
    _, column, _, row = page.inner_text("#place").replace(",", "").split()
    return int(column), int(row)


def test_both_files_lie_in_one_place(page):
    """MS on the left, what was fused on the right, each with its own DN."""
    column, row = pan_pixel(page, 0.2, 0.3)
    assert MS[2::-1, row // 4, column // 4].tolist() == pytest.approx(
        seen_at(page, 0.2, 0.3), abs=1
    )

    column, row = pan_pixel(page, 0.7, 0.6)
    assert FUSED[2::-1, row, column].tolist() == pytest.approx(seen_at(page, 0.7, 0.6), abs=1)
    assert ["ms.tif", "fused.tif"] == [page.inner_text(f"#tag-{s}") for s in ("left", "right")]


def test_the_divider_swipes(page):
    """What was fused on the left of it is MS after."""
    x, y = 0.6, 0.4
    column, row = pan_pixel(page, x, y)
    box, stage = (page.locator(f"#{name}").bounding_box() for name in ("handle", "stage"))
    page.mouse.move(box["x"] + 22, box["y"] + 22)
    page.mouse.down()
    page.mouse.move(box["x"] + 22 + stage["width"] / 4, box["y"] + 22, steps=4)
    page.mouse.up()

    assert "75" == page.get_attribute("#handle", "aria-valuenow")
    assert MS[2::-1, row // 4, column // 4].tolist() == pytest.approx(seen_at(page, x, y), abs=1)
    page.focus("#handle")
    page.keyboard.press("Home")
    assert FUSED[2::-1, row, column].tolist() == pytest.approx(seen_at(page, x, y), abs=1)


def test_dragging_moves_both(page):
    """The pixel under the hand stays under it; the pictures follow."""
    before = pan_pixel(page, 0.3, 0.5)
    box = page.locator("#stage").bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + round(0.3 * box["width"]) + 60, box["y"] + 200, steps=3)
    page.mouse.up()

    assert before == said_pixel(page)
    for x in (0.3, 0.7):
        column, row = pan_pixel(page, x, 0.5)
        own = MS[2::-1, row // 4, column // 4] if x < 0.5 else FUSED[2::-1, row, column]
        assert own.tolist() == pytest.approx(seen_at(page, x, 0.5), abs=1)


def test_the_wheel_zooms_where_it_points(page):
    """Four pixels of the screen are then one of PAN's; a double click shows all."""
    before = pan_pixel(page, 0.3, 0.5)
    page.mouse.wheel(0, -300 * np.log(4))
    page.wait_for_selector("#scale:text('400 %')")

    assert before == pytest.approx(said_pixel(page), abs=1)
    image = looked(page)[100, -300:-100, 0]
    assert {4} == set(np.diff(np.flatnonzero(np.diff(image))) // 4)  # MS pixels: 16 on the screen

    page.dblclick("#stage", position={"x": 300, "y": 100})
    image = looked(page)
    wide = np.flatnonzero(image[60:-20].any((0, 2)))  # below the names
    assert (wide[-1] - wide[0] + 1) / image.shape[0] == pytest.approx(W / H, rel=0.01)


def test_bands_are_chosen(page):
    """Near infrared as red; PAN stays grey."""
    column, row = pan_pixel(page, 0.2, 0.3)
    page.select_option("#red", "4")
    page.keyboard.press("Tab")

    expected = MS[[3, 1, 0], row // 4, column // 4].tolist()
    assert expected == pytest.approx(seen_at(page, 0.2, 0.3), abs=1)
    page.focus("#stage")
    page.keyboard.press("Shift+Digit1")
    assert [int(PAN[0, row, column])] * 3 == pytest.approx(seen_at(page, 0.2, 0.3), abs=1)
    assert "pan.tif" == page.inner_text("#tag-left")


def test_the_stretch_is_chosen(page):
    """Cut at both ends; bent by gamma: the square root of a quarter is a half."""
    page.click("#fit")
    page.select_option("#right", "1")
    plain = looked(page)
    wide = np.flatnonzero(plain[60:-20].any((0, 2)))
    at = [round(wide[0] + x * (wide[-1] - wide[0])) for x in (0.04, 0.96, 0.25)]
    assert [10, 245, 64] == pytest.approx(plain[100, at, 0].tolist(), abs=2)

    page.select_option("#cut", "5")
    edges = looked(page)
    assert [0, 255] == edges[100, at[:2], 0].tolist()

    page.select_option("#cut", "0")
    page.fill("#gamma", "2")
    assert 128 == pytest.approx(looked(page)[100, at[2], 0], abs=2)


def test_the_stretch_is_of_what_is_seen(page):
    """A part of a ramp fills the scale."""
    page.select_option("#right", "1")

    def spread():
        image = looked(page)
        middle = image.shape[1] // 2  # where the divider is
        return max(
            np.ptp(image[80:120, 5 : middle - 20, 0]), np.ptp(image[80:120, middle + 20 : -5, 0])
        )

    page.mouse.move(450, 400)
    page.mouse.wheel(0, -300 * np.log(4))
    page.wait_for_selector("#scale:text('400 %')")
    assert spread() < 60

    page.click("#here")

    assert spread() > 100
    page.click("#here")
    assert spread() < 60


def test_side_by_side_is_one_place_twice(page):
    page.select_option("#right", "1")
    page.check("#beside")
    image = looked(page)
    half = image.shape[1] // 2

    assert np.abs(image[60:, 10 : half - 10] - image[60:, half + 10 : 2 * half - 10]).max() <= 1
    column, row = pan_pixel(page, 0.2, 0.5)
    assert (column, row) == pan_pixel(page, 0.7, 0.5)


def test_a_narrow_window_shows_everything(browser, server):
    tab = browser.new_page(viewport={"width": 400, "height": 800})
    tab.goto(server.address)
    settled(tab)
    assert 400 == tab.evaluate("document.documentElement.scrollWidth")
    tab.close()

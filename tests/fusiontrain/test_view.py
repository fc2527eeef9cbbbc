"""`fusiontrain view`: DN of files that are plain ramps are seen again on the screen."""

import http.client
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.errors import SceneError

pytest.importorskip("rio_tiler", reason="needs rio-tiler: pip install 'panprior[view]'")

from fusiontrain.scenes.tiled import open_layers, picture
from fusiontrain.viewer import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # of rio-tiler's own use of affine, in threads

GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
UTM = "EPSG:32633"
H, W = 768, 1024  # PAN; MS pixels hold their own column and row
RED = np.tile(np.arange(256, dtype=np.uint8), (192, 1))
GREEN = np.tile(np.linspace(0, 255, 192).round().astype(np.uint8)[:, None], (1, 256))
MS = np.stack([255 - GREEN, GREEN, RED, 255 - RED])  # blue, green, red, nir
PAN = np.tile(np.arange(H)[:, None] % 256, (1, W)).astype(np.uint8)[None]
FUSED = 255 - MS.repeat(4, 1).repeat(4, 2)


def write(path, data, transform=GRID, crs=UTM, **more):
    C, h, w = data.shape
    options = {"count": C, "height": h, "width": w, "dtype": data.dtype.name, "driver": "GTiff"}
    options |= {"photometric": "minisblack"} | more  # else the fourth of four bytes is an alpha
    with rasterio.open(path, "w", transform=transform, crs=crs, **options) as file:
        file.write(data)
        if C == 4:
            file.descriptions = ("blue", "green", "red", "nir")
    return str(path)


def scene(folder, crs=UTM, grid=GRID):
    return [
        write(folder / "pan.tif", PAN, grid, crs),
        write(folder / "ms.tif", MS, grid @ Affine.scale(4), crs),
        write(folder / "fused.tif", FUSED, grid, crs, tiled=True, compress="deflate"),
    ]


@contextmanager
def serving(paths):
    with open_layers(paths[0], paths[1:]) as opened, Server(*opened) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(scene(tmp_path_factory.mktemp("view"))) as running:
        yield running


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


def asked(server, path, host="127.0.0.1", method="GET", **headers):
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    link.request(method, path, headers={"Host": host, **headers})
    answer = link.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    link.close()
    return found


def test_others_are_not_answered(server):
    """Another name for this machine, another site's page, another key, another verb."""
    own = f"/{server.key}/"
    assert "127.0.0.1" == server.server_address[0]
    assert 200 == asked(server, own)[0] == asked(server, own, host="localhost:8000")[0]
    assert 403 == asked(server, own, host="evil.example")[0]
    assert 403 == asked(server, own, host="127.0.0.1.evil.example:80")[0]
    assert 403 == asked(server, own, **{"Sec-Fetch-Site": "cross-site"})[0]
    assert 404 == asked(server, "/")[0] == asked(server, "/guess/scene")[0]
    assert 501 == asked(server, own, method="POST")[0]
    headers = asked(server, own)[2]
    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "rest",
    [
        "../../etc/passwd",
        "..%2f..%2fetc/passwd",
        "view.py",
        "page.css/../view.js",
        "tile//etc/x/1/2",
    ],
)
def test_no_path_is_ever_followed(server, rest):
    status, body, _ = asked(server, f"/{server.key}/{rest}")
    assert status in (400, 404)
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("tile/9/0/0/0?bands=1&low=0&high=1", "no layer 9; there are 3"),
        ("tile/0/0/4/0?bands=1&low=0&high=1", "no tile 0/4/0"),
        ("tile/0/99/0/0?bands=1&low=0&high=1", "no tile 99/0/0"),
        ("tile/0/0/0/0?bands=2&low=0&high=1", "go from 1 to 1"),
        ("tile/1/0/0/0?bands=1,2&low=0,0&high=1,1", "one or three"),
        ("tile/0/0/0/0?bands=1&low=nan&high=1", "1 finite numbers"),
        ("tile/0/0/0/0?bands=1&low=0&high=1&gamma=0", "gamma is 0.1 to 10"),
        ("tile/-1/0/0/0?bands=1&low=0&high=1", "a whole number"),
        ("limits/0?bands=1&cut=50", "cut is percent"),
        ("limits/0?bands=1&box=5,5,5,5", "left, top, right, bottom"),
    ],
)
def test_what_cannot_be_shown_is_one_line(server, rest, words):
    status, body, _ = asked(server, f"/{server.key}/{rest}")
    assert 400 == status
    assert words in body.decode()
    assert 1 == body.count(b"\n")


def layers_of(*paths):
    """Every layer's red at the whole view, an MS pixel a pixel."""
    with open_layers(paths[0], paths[1:]) as (grid, layers, says):
        view = (0, 0, grid.width, grid.height)
        return [layer.read(view, [3], (192, 256))[0] for layer in layers[1:]], says


@pytest.mark.parametrize("grid", [GRID, Affine.identity()], ids=["placed", "bare"])
def test_files_without_a_crs_are_shown(tmp_path, grid):
    """By their geotransforms; without those, from the corner on."""
    [ms, fused], says = layers_of(*scene(tmp_path, crs=None, grid=grid))

    np.testing.assert_array_equal(RED, ms)
    np.testing.assert_array_equal(255 - RED, fused)
    assert bool(says) == (grid == Affine.identity())


@pytest.mark.parametrize("turn", ["turned", "crs"])
def test_other_axes_and_crs_are_warped(tmp_path, turn):
    """MS seen from PAN's grid is the same ramp, to a pixel."""
    paths = scene(tmp_path)
    if turn == "turned":
        upside = GRID @ Affine.translation(0, H) @ Affine.scale(4, -4)
        write(paths[1], MS[:, ::-1], upside)
        reach = 0
    else:
        subprocess.run(
            [
                f"{sys.prefix}/bin/rio",
                "warp",
                paths[1],
                f"{paths[1]}.tif",
                "--dst-crs",
                "EPSG:3857",
                "--resampling",
                "nearest",
                "--co",
                "photometric=minisblack",
            ],
            check=True,
        )
        paths[1] = f"{paths[1]}.tif"
        reach = 2

    [ms, _], _ = layers_of(*paths)

    assert np.abs(RED.astype(int) - ms)[20:-20, 20:-20].max() <= reach


def test_missing_pixels_are_transparent(tmp_path):
    """By nodata, and beside a file's edge; near infrared flagged as alpha is no mask.

    RED is 0 where near infrared, 255 - RED, is full, and the other way round.
    """
    data = MS.copy()
    data[:, :48] = 77
    path = write(tmp_path / "ms.tif", data, GRID @ Affine.scale(4), nodata=77)
    flagged = {"photometric": "rgb", "alpha": "yes"}
    half = write(tmp_path / "half.tif", FUSED[:, :, :512], GRID, **flagged)
    with rasterio.open(half) as file:
        assert ColorInterp.alpha is file.colorinterp[3]
    with open_layers(write(tmp_path / "pan.tif", PAN), [path, half]) as (grid, layers, _):
        view = (0, 0, grid.width, grid.height)
        seen = [layer.read(view, [3], (192, 256)) for layer in layers[1:]]

    with Image.open(BytesIO(picture(seen[0], [(0, 255)], 1.0))) as image:
        alpha = np.asarray(image)[..., -1]
    assert not alpha[:48].any()
    assert not np.ma.getmaskarray(seen[1])[..., :128].any()
    assert np.ma.getmaskarray(seen[1])[..., 128:].all()
    np.testing.assert_array_equal(255 - RED[:, :128], seen[1][0, :, :128])


def test_bad_files_are_one_line(tmp_path, capsys):
    pan, ms, _ = scene(tmp_path)
    cut = tmp_path / "cut.tif"
    cut.write_bytes((tmp_path / "fused.tif").read_bytes()[:200])
    for paths, words in (
        ([ms, pan], "name PAN first, then MS"),
        ([pan, str(tmp_path / "absent.tif")], "cannot read"),
        ([pan, ms, str(cut)], "cannot read"),
    ):
        assert 2 == main(["view", *paths])
        said = capsys.readouterr().err
        assert words in said
        assert 1 == said.count("\n")
    assert 2 == main(["view", pan, ms, "--port", "70000"])
    assert "--port is 0 to 65535" in capsys.readouterr().err


def test_a_file_that_breaks_off_is_said(tmp_path):
    pan, ms, _ = scene(tmp_path)
    path = tmp_path / "fused.tif"
    data = path.read_bytes()
    directory = int.from_bytes(data[4:8], "little")
    path.write_bytes(data[:8] + bytes(directory - 8) + data[directory:])
    with open_layers(pan, [ms, path]) as (_, layers, _), pytest.raises(SceneError, match="broke"):
        layers[2].read((0, 0, W, H), [3, 2, 1], (192, 256))


def test_a_missing_package_is_said(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "fusiontrain.scenes.tiled")
    monkeypatch.setitem(sys.modules, "rio_tiler", None)
    assert 2 == main(["view", "pan.tif", "ms.tif"])
    assert "pip install 'panprior[view]'" in capsys.readouterr().err


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    command = [sys.executable, "-m", "fusiontrain", "view", *scene(tmp_path)]
    # A shell's background jobs ignore interrupts, and so would what they start.
    command = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            address = running.stdout.readline().split()[1]
            link = http.client.HTTPConnection(address.split("/")[2], timeout=60)
            link.request("GET", f"/{address.split('/')[3]}/scene")
            assert b'"width": 1024' in link.getresponse().read()
            running.send_signal(signal.SIGINT)
            assert 0 == running.wait(60)
        finally:
            running.kill()

"""`fusiontrain view`: what it serves, to whom, and of which files."""

import http.client
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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

from fusiontrain.viewer.layers import open_layers, picture
from tests.support.ramps import FUSED, GRID, MS, PAN, RED, H, W, scene, serving, write

FOUR = GRID @ Affine.scale(4)

pytestmark = pytest.mark.filterwarnings("ignore")  # of rio-tiler's own use of affine, in threads


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(scene(tmp_path_factory.mktemp("view"))) as running:
        yield running


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


def test_an_undeclared_fill_does_not_stretch_what_is_shown(tmp_path):
    """The limits are those of the ground, whole and in a view; fusing would refuse the file."""
    ms = MS.astype("float32")
    low, high = (float(end(ms[2, :, 80:])) for end in (np.min, np.max))
    ms[:, :, :80] = np.finfo("float32").min
    paths = write(tmp_path / "pan.tif", PAN), write(tmp_path / "f.tif", ms, FOUR)
    with open_layers(paths[0], paths[1:]) as (grid, layers, _):
        for view in (None, (0, 0, grid.width, grid.height)):
            [found] = layers[1].limits([3], 0, view)
            assert [low, high] == pytest.approx(found, rel=0.05)


def test_a_missing_package_is_said(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "fusiontrain.viewer.layers")
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


def test_fifty_requests_at_once(server):
    """None is reset: each waits its turn."""
    path = f"/{server.key}/scene"
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: asked(server, path)[0], range(50)))

    assert statuses == [200] * 50
    assert server.request_queue_size >= 50


def test_a_browser_that_goes_away_leaves_no_traceback(server, capfd):
    """It drops tiles that it no longer shows; by a reset, so that the next write fails."""
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.server_port)) as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.sendall(
                f"GET /{server.key}/scene HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 9
            )
    assert asked(server, f"/{server.key}/scene")[0] == 200
    time.sleep(0.3)

    assert "Traceback" not in capfd.readouterr().err
    for error in (BrokenPipeError(), ConnectionResetError(), TimeoutError()):
        try:
            raise error
        except OSError:
            server.handle_error(None, ("127.0.0.1", 1))
    assert capfd.readouterr().err == ""

"""Pull, push and verify against servers on loopback that fail on purpose."""

import base64
import json
import shutil

import pytest

from shards import fetching, transfer
from shards.__main__ import main
from shards.errors import ContractError, SharingError
from shards.manifest import NAME, Manifest
from shards.transfer import pull, push, verify

TAR = "shard-000001.tar"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Tries follow each other at once."""
    monkeypatch.setattr(fetching, "PAUSE", 0.001)


def same(small_build, folder):
    for row in Manifest.load(small_build).shards:
        for name in (row.name, row.index_name):
            assert (small_build / name).read_bytes() == (folder / name).read_bytes()
    for name in (NAME, "wids.json"):
        assert (small_build / name).read_bytes() == (folder / name).read_bytes()
    assert [] == [p.name for p in folder.iterdir() if p.name.startswith(".part-")]


def test_a_build_comes_over_http(small_build, web, tmp_path, capsys):
    """Every byte, checked; the second call fetches the manifest alone."""
    url, faults = web

    assert 0 == main(["pull", url, str(tmp_path / "s")])

    same(small_build, tmp_path / "s")
    assert NAME == faults.asked[0][0]
    said = capsys.readouterr()
    assert "24 samples in 4 shards pulled" in said.out
    assert Manifest.load(small_build).digest in said.out
    faults.asked.clear()
    assert 0 == main(["pull", url, str(tmp_path / "s"), "--quiet"])
    assert [(NAME, "")] == faults.asked
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("ranges", [False, True])
def test_a_cut_connection_is_continued(small_build, web, tmp_path, reset, ranges):
    """Cut three times, by an early end or a reset; from where it was, if the server knows how."""
    url, faults = web
    faults.cut[TAR], faults.reset, faults.ranges = [70_000, 80_000, 50_000], reset, ranges

    pull(url, tmp_path / "s")

    same(small_build, tmp_path / "s")
    starts = [int(r[6:-1]) for name, r in faults.asked if name == TAR and r]
    assert starts
    if ranges and not reset:
        assert [70_000, 150_000, 200_000] == starts


def test_a_pull_that_gave_up_is_continued_by_the_next(small_build, web, tmp_path):
    """Nothing is named before it is whole, and no manifest vouches for half a build."""
    url, faults = web
    faults.cut[TAR] = [100_000, *[0] * 50]
    faults.reset = True
    out = tmp_path / "s"

    with pytest.raises(SharingError, match=r"1 of 8 files failed(?s:.)*shard-000001.tar"):
        pull(url, out)

    assert not (out / NAME).exists()
    assert not (out / TAR).exists()
    (partial,) = out.glob(f".part-*-{TAR}")
    got = partial.stat().st_size
    assert 0 < got <= 100_000
    faults.cut.clear()
    faults.asked.clear()
    pull(url, out)
    same(small_build, out)
    assert [(TAR, f"bytes={got}-")] == [a for a in faults.asked if a[0] != NAME]


def test_a_byte_flipped_once_is_fetched_again(small_build, web, tmp_path):
    """In a tar and in an index."""
    url, faults = web
    faults.flip = {TAR: 1, "shard-000002.idx": 1}

    pull(url, tmp_path / "s")

    same(small_build, tmp_path / "s")


def test_a_byte_flipped_at_the_source_is_refused(small_build, web, tmp_path, capsys):
    """Named, with both hashes; the others stay; no manifest."""
    url, faults = web
    faults.flip = {TAR: 99}

    assert 2 == main(["pull", url, str(tmp_path / "s"), "--quiet"])

    said = capsys.readouterr().err
    assert f"{TAR}: expected sha256" in said
    assert not (tmp_path / "s" / TAR).exists()
    assert not (tmp_path / "s" / NAME).exists()
    assert (tmp_path / "s" / "shard-000002.tar").exists()
    with pytest.raises(ContractError, match=rf"{TAR}: expected sha256"):
        verify(url)


def test_a_source_that_is_cut_short_or_too_long(small_build, web, tmp_path):
    """Sizes are the manifest's, whatever the server says."""
    url, faults = web
    faults.root = tmp_path / "there"
    shutil.copytree(small_build, faults.root)
    data = (faults.root / TAR).read_bytes()
    (faults.root / TAR).write_bytes(data[:-700])
    with (faults.root / "shard-000002.tar").open("ab") as file:
        file.write(bytes(900))
    (faults.root / "shard-000003.idx").unlink()

    with pytest.raises(ContractError, match="3 of 8 files failed") as caught:
        pull(url, tmp_path / "s")
    assert f"{TAR}: expected {len(data)} bytes, got {len(data) - 700}" in str(caught.value)
    assert "shard-000002.tar: expected" in str(caught.value)
    assert "shard-000003.idx: the server answers 404" in str(caught.value)


def test_an_overloaded_server_is_asked_again(small_build, web, tmp_path):
    """503 thrice, for the manifest and for a tar; verify reads everything."""
    url, faults = web
    faults.unavailable.update({NAME: 3, TAR: 3})

    assert Manifest.load(small_build) == verify(url)


def test_credentials_are_never_printed(small_build, web, tmp_path, capsys):
    """User, password and token reach the server, and nothing else."""
    url, faults = web
    faults.login = "Basic " + base64.b64encode(b"anna:s3cr3t").decode()
    secret = url.replace("http://", "http://anna:s3cr3t@") + "?token=t0k3n&sig=a%2Fb%2Fc"

    assert 0 == main(["pull", secret, str(tmp_path / "s")])
    assert 0 == main(["verify", secret])
    assert {"token=t0k3n&sig=a%2Fb%2Fc"} == faults.queries
    faults.flip = {TAR: 99}
    assert 2 == main(["verify", secret])
    faults.login = "Basic other"
    assert 2 == main(["pull", secret, str(tmp_path / "t")])
    assert 2 == main(["pull", secret.replace("127.0.0.1:", "127.0.0.1:1"), str(tmp_path / "u")])
    assert 2 == main(["push", str(small_build), secret])

    said = "".join(capsys.readouterr())
    written = "".join(p.read_text() for p in (tmp_path / "s").glob("*.json"))
    assert "the server answers 401" in said
    for word in ("anna", "s3cr3t", "t0k3n", "%2F", "a/b/c"):
        assert word not in said + written


@pytest.mark.parametrize("name", ["../x.tar", "/etc/x.tar", "a/b.tar", "X.tar", ".part-x.tar"])
def test_names_from_outside_are_never_paths(web, small_build, tmp_path, name):
    """A manifest that points elsewhere is refused before anything is made."""
    url, faults = web
    faults.root = tmp_path / "evil"
    faults.root.mkdir()
    raw = json.loads((small_build / NAME).read_text())
    raw["shards"][0]["name"] = name
    (faults.root / NAME).write_text(json.dumps(raw))

    with pytest.raises(ContractError, match="beside its manifest"):
        pull(url, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_what_lies_in_the_folder_is_not_overwritten(small_build, web, tmp_path):
    """Another build, tars of unknown origin; but a damaged copy is repaired."""
    url, _ = web
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / TAR).write_bytes(b"mine")
    with pytest.raises(SharingError, match="another origin"):
        pull(url, tmp_path / "own")
    assert b"mine" == (tmp_path / "own" / TAR).read_bytes()

    pull(url, tmp_path / "s")
    (tmp_path / "s" / TAR).write_bytes(b"damaged")
    pull(url, tmp_path / "s")
    same(small_build, tmp_path / "s")

    raw = json.loads((tmp_path / "s" / NAME).read_text())
    (tmp_path / "s" / NAME).write_text(json.dumps(raw | {"seed": 99}))
    with pytest.raises(SharingError, match="holds build"):
        pull(url, tmp_path / "s")


def test_a_digest_may_be_asked_for(small_build, web, tmp_path):
    """So that a place that changed hands is noticed."""
    url, _ = web
    pull(url, tmp_path / "s", digest=Manifest.load(small_build).digest)
    with pytest.raises(ContractError, match="expected 000000000000"):
        pull(url, tmp_path / "t", digest="0" * 64)


def test_through_a_folder_by_its_url(small_build, tmp_path):
    """file://: pushed under temporary names, manifest last; then pulled and verified."""
    place = (tmp_path / "there").as_uri()

    push(small_build, place)

    same(small_build, tmp_path / "there")
    assert not (tmp_path / "there" / transfer.CLAIM).exists()
    assert Manifest.load(small_build) == verify(place) == verify(str(tmp_path / "there"))
    pull(place, tmp_path / "back")
    same(small_build, tmp_path / "back")


def test_a_push_goes_on_and_keeps_to_itself(small_build, tmp_path, monkeypatch):
    """Broken off: no manifest. The same build goes on, nothing sent twice; another is refused."""
    place, there = (tmp_path / "there").as_uri(), tmp_path / "there"
    store = type(transfer.open_store(place))
    true_write, written = store.write, []

    def write(self, name, path):
        if name == TAR and TAR not in written:
            written.append(name)
            raise SharingError("no more today")
        written.append(name)
        true_write(self, name, path)

    monkeypatch.setattr(store, "write", write)
    with pytest.raises(SharingError, match="no more today"):
        push(small_build, place)
    assert not (there / NAME).exists()
    other = tmp_path / "other"
    shutil.copytree(small_build, other)
    raw = json.loads((other / NAME).read_text())
    (other / NAME).write_text(json.dumps(raw | {"seed": 99}))
    with pytest.raises(SharingError, match="holds half of build"):
        push(other, place)
    written[:] = [TAR]
    push(small_build, place)

    assert [TAR, transfer.CLAIM, TAR, "wids.json", NAME] == written
    same(small_build, there)
    with pytest.raises(SharingError, match="holds build"):
        push(other, place)


def test_only_whole_builds_are_pushed(small_build, tmp_path):
    """Checked here first; and never over shards of unknown origin."""
    broken = tmp_path / "broken"
    shutil.copytree(small_build, broken)
    (broken / TAR).write_bytes(b"x")
    with pytest.raises(ContractError, match=TAR):
        push(broken, (tmp_path / "there").as_uri())

    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "shard-000000.tar").write_bytes(b"x")
    with pytest.raises(SharingError, match="unknown origin"):
        push(small_build, (tmp_path / "taken").as_uri())


@pytest.mark.slow
def test_through_s3(small_build, s3, s3_port, proxy, tmp_path, capsys):
    """Pushed and pulled, both over connections that are cut midway; a flipped byte is found."""
    place = "s3://bucket/builds/small"
    with proxy(s3_port, [900, 0, 700]) as port:
        s3(port)
        push(small_build, place)
    s3(s3_port)
    assert Manifest.load(small_build) == verify(place)

    with proxy(s3_port, [5_000, 100_000, 60_000]) as port:
        s3(port)
        pull(place, tmp_path / "s")
    same(small_build, tmp_path / "s")

    s3(s3_port)
    data = bytearray((small_build / TAR).read_bytes())
    data[5000] ^= 1
    (tmp_path / TAR).write_bytes(data)
    transfer.open_store(place).write(TAR, tmp_path / TAR)
    assert 2 == main(["pull", place, str(tmp_path / "t"), "--quiet"])
    said = capsys.readouterr().err
    assert f"{TAR}: expected sha256" in said
    assert "not-to-be-shown" not in said
    transfer.open_store(place).write(TAR, small_build / TAR)
    pull(place, tmp_path / "t")
    same(small_build, tmp_path / "t")


def test_places_that_cannot_be(small_build, tmp_path, capsys):
    """One line each, exit code 2."""
    for url in ("nowhere", "simplecache::s3://x/y", "gopher://x/y", (tmp_path / "no").as_uri()):
        assert 2 == main(["pull", url, str(tmp_path / "s")])
    assert 2 == main(["push", str(small_build), "https://example.invalid/x"])
    assert 2 == main(["push", str(small_build), "anna:s3cr3t@host/x"])
    assert 2 == main(["pull", "s3:anna:s3cr3t@host/x", str(tmp_path / "s")])
    said = capsys.readouterr().err
    assert 7 == said.count("shards: ")
    assert "s3cr3t" not in said
    assert "Traceback" not in said


def test_the_catalogue(small_build, web, tmp_path, capsys, monkeypatch):
    """The one that ships is well formed; a build is pulled by its name and digest."""
    from shards import __main__, catalogue

    assert 0 == main(["list"])
    url, _ = web
    entry = {"url": url, "manifest": Manifest.load(small_build).digest, "licence": "CC0"}
    (tmp_path / "small.json").write_text(json.dumps(entry))
    monkeypatch.setattr(__main__, "published_builds", lambda: catalogue.published_builds(tmp_path))
    assert 0 == main(["list"])
    assert f"small  {url}  {entry['manifest'][:12]}  CC0" in capsys.readouterr().out
    assert 0 == main(["pull", "small", str(tmp_path / "s")])
    same(small_build, tmp_path / "s")

    (tmp_path / "small.json").write_text(json.dumps(entry | {"manifest": "0" * 64}))
    assert 2 == main(["pull", "small", str(tmp_path / "t")])
    for change in (
        {"url": "http://a:b@c/d"},
        {"url": "http://c/d?t=1"},
        {"manifest": "x"},
        {"x": 1},
    ):
        (tmp_path / "small.json").write_text(json.dumps(entry | change))
        with pytest.raises(ContractError):
            catalogue.published_builds(tmp_path)


@pytest.mark.parametrize("command", ["pull", "push", "verify", "list"])
def test_every_command_tells_the_version(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--version"])

    assert (0, "panprior ") == (stopped.value.code, capsys.readouterr().out[:9])


def test_a_folder_is_pulled_by_its_url(small_build, tmp_path, capsys):
    assert 2 == main(["pull", str(small_build), str(tmp_path / "s")])

    url = small_build.resolve().as_uri()
    assert f"no published build; published: none; of a folder give its URL, {url}" in (
        capsys.readouterr().err
    )
    assert 0 == main(["pull", url, str(tmp_path / "s")])
    same(small_build, tmp_path / "s")

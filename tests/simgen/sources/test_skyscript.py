"""SkyScript as published: zips of JPEGs named object_source_year, and lists of captions in CSV."""

import io
import struct
import tarfile
import tracemalloc
import zipfile

import pytest

from shards.manifest import Manifest
from simgen.building.build import run_build
from simgen.cli import main
from simgen.errors import SourceError
from simgen.sources import open_source

# Names as in the dataset's README; sources from its image_sources.py.
NAMES = {
    "images2.zip": ["a198234555_CH_19", "w1050_US_18", "n77_S2_21"],
    "images3.zip": ["a5_FI_20", "w9_L8_16"],
}
LIST = "SkyScript_train_top30pct_filtered_by_CLIP_laion_RS.csv"


@pytest.fixture
def archives(tmp_path, make_jpeg):
    """Two zips, one deflated, and a list of three of the five with a column of similarity."""
    root = tmp_path / "SkyScript"
    root.mkdir()
    for number, (name, stems) in enumerate(NAMES.items()):
        method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number]
        with zipfile.ZipFile(root / name, "w", method) as archive:
            archive.mkdir(name[:-4])
            for i, stem in enumerate(stems):
                archive.writestr(f"{name[:-4]}/{stem}.jpg", make_jpeg(seed=10 * number + i))
            archive.writestr(f"{name[:-4]}/readme.txt", "no image")
    (root / LIST).write_text(
        "filepath,title,title_multi_objects,similarity\n"
        'images2/a198234555_CH_19.jpg,"a satellite image of a house, red roof",x,0.31\n'
        "images2/w1050_US_18.jpg,a road,y,0.22\n"
        "images3/a5_FI_20.jpg,a lake,z,0.40\n"
    )
    return root


def stems(source):
    """Which of NAMES a source lists."""
    every = [stem for stems in NAMES.values() for stem in stems]
    return {s for s in every for p in source.photos if f"-{s.lower().replace('-', '_')}-" in p.key}


def test_members_are_what_zipfile_reads(archives):
    """Stored and deflated, byte for byte, in the archive's order."""
    expected = []
    for path in sorted(archives.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            expected += [archive.read(n) for n in archive.namelist() if n.endswith(".jpg")]

    assert expected == [photo.read() for photo in open_source("skyscript", archives).photos]


def test_zips_become_shards_twice_alike(archives, tmp_path, small_build_of, make_jpeg):
    """Built; a cut JPEG and a flipped byte are named; the same bytes again."""
    with zipfile.ZipFile(archives / "images4.zip", "w") as archive:
        archive.writestr("images4/n1_ES_20.jpg", make_jpeg()[:2000])
        archive.writestr("images4/n2_ES_20.jpg", make_jpeg(seed=3))
        start = archive.getinfo("images4/n2_ES_20.jpg").header_offset
    data = bytearray((archives / "images4.zip").read_bytes())
    data[start + 900] ^= 255
    (archives / "images4.zip").write_bytes(data)

    first = run_build(small_build_of("skyscript", archives, tmp_path / "a"), workers=1)
    run_build(small_build_of("skyscript", archives, tmp_path / "b"), workers=2)

    assert 10 == first.samples
    reasons = {r.source.rpartition("-")[0]: r.reason for r in first.rejected}
    assert {"images4-images4-n1_es_20", "images4-images4-n2_es_20"} == set(reasons)
    assert "truncated" in reasons["images4-images4-n1_es_20"]
    assert "checksum" in reasons["images4-images4-n2_es_20"]
    assert "MIT" in first.licence
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("gsd<=1",), {"a198234555_CH_19", "w1050_US_18", "a5_FI_20"}),
        (("gsd > 1", "gsd<=10"), {"n77_S2_21"}),
        (("source==L8",), {"w9_L8_16"}),
        (("year>=2019", "source!=S2"), {"a198234555_CH_19", "a5_FI_20"}),
        ((f"list=={LIST}",), {"a198234555_CH_19", "w1050_US_18", "a5_FI_20"}),
        ((f"list=={LIST}", "similarity>=0.28"), {"a198234555_CH_19", "a5_FI_20"}),
        ((f"list=={LIST}", "similarity>=.28", "gsd<.3"), {"a198234555_CH_19"}),
    ],
)
def test_filters_keep_what_they_say(archives, filters, expected):
    """By the collection's ground sampling distance, by year, by a published list."""
    assert expected == stems(open_source("skyscript", archives, filters=filters))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (("gsd",), "is no condition"),
        (("gsd<<1",), "not two numbers"),
        (("gsd<0.01",), "no image in"),
        (("similarity>0.2",), "add --filter list==FILE.csv"),
        (("list==none.csv",), "cannot read the list"),
        ((f"list=={LIST}", "clip>0.2"), "no column 'clip'; it has: filepath, title"),
        ((f"list=={LIST}", "title<3"), "use == or !="),
    ],
)
def test_bad_filters_are_one_line(archives, tmp_path, capsys, filters, message):
    """Exit code 2 and nothing built."""
    arguments = ["build", "--dataset", "skyscript", "--source", str(archives)]
    for text in filters:
        arguments += ["--filter", text]

    assert 2 == main([*arguments, "--out", str(tmp_path / "out")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_digest_follows_the_data_and_the_filter(archives, make_jpeg):
    """Another photograph of the same name; another selection."""
    before = open_source("skyscript", archives).digest
    selected = open_source("skyscript", archives, filters=("gsd<=1",)).digest
    with zipfile.ZipFile(archives / "images3.zip", "w") as archive:
        for i, stem in enumerate(NAMES["images3.zip"]):
            archive.writestr(f"images3/{stem}.jpg", make_jpeg(seed=20 + i))

    assert 3 == len({before, selected, open_source("skyscript", archives).digest})


def test_bombs_are_refused_before_they_burst(tmp_path, small_build_of, make_jpeg):
    """One gigabyte declared; a hundred megabytes behind a declared kilobyte; a cut zip."""
    root = tmp_path / "s"
    root.mkdir()
    with zipfile.ZipFile(root / "images2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images2/n1_CH_19.jpg", make_jpeg())
        archive.writestr("images2/n2_CH_19.jpg", bytes(100_000_000))
        archive.writestr("images2/n3_CH_19.jpg", bytes(100_000_000))
    data = bytearray((root / "images2.zip").read_bytes())
    for name, claimed in ((b"n2_CH_19", 1 << 30), (b"n3_CH_19", 1000)):
        at = data.rindex(b"PK\x01\x02", 0, data.rindex(name))
        data[at + 24 : at + 28] = struct.pack("<I", claimed)
    (root / "images2.zip").write_bytes(data)

    source = open_source("skyscript", root)
    tracemalloc.start()
    with pytest.raises(SourceError, match="more than its 1000 bytes"):
        source.photos[2].read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    manifest = run_build(small_build_of("skyscript", root, tmp_path / "out"), workers=1)

    assert peak < 2_000_000
    assert {"1073741824 bytes exceed 256000000"} < {r.reason for r in manifest.rejected}
    assert 2 == len(manifest.rejected)
    (root / "images2.zip").write_bytes(data[:5000])
    with pytest.raises(SourceError, match="broke off"):
        open_source("skyscript", root)
    with pytest.raises(SourceError, match=r"download images2\.zip"):
        open_source("skyscript", None)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_cut_after_a_zip_inside_it_is_not_whole(tmp_path, make_jpeg, method):
    """Its end is the inner one's directory."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("images2/a1_US_18.jpg", make_jpeg(seed=1))
    root = tmp_path / "images2.zip"
    with zipfile.ZipFile(root, "w", method) as archive:
        archive.writestr("images2/a2_US_18.jpg", make_jpeg(seed=2))
        archive.writestr(zipfile.ZipInfo("images2/more.zip"), inner.getvalue())  # stored
        archive.writestr("images2/a3_US_18.jpg", make_jpeg(seed=3))
    assert len(open_source("skyscript", tmp_path).photos) == 2
    data = root.read_bytes()
    root.write_bytes(data[: data.index(inner.getvalue()) + len(inner.getvalue())])

    with pytest.raises(SourceError, match="the download broke off"):
        open_source("skyscript", tmp_path)


@pytest.fixture
def webdataset(archives, tmp_path):
    """The same images as WebDataset shards: bare names, a caption and facts beside each."""
    root = tmp_path / "tars"
    root.mkdir()
    for path in sorted(archives.glob("*.zip")):
        with zipfile.ZipFile(path) as archive, tarfile.open(root / f"{path.stem}.tar", "w") as tar:
            for name in archive.namelist():
                if name.endswith(".jpg"):
                    stem = name.rpartition("/")[2].removesuffix(".jpg")
                    rows = {"jpg": archive.read(name), "txt": b"a house", "json": b"{}"}
                    for ending, data in rows.items():
                        info = tarfile.TarInfo(f"{stem}.{ending}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
    (root / LIST).write_bytes((archives / LIST).read_bytes())
    return root


@pytest.mark.parametrize(
    "filters", [(), ("gsd<=1",), ("year>=18", "source!=S2"), (f"list=={LIST}", "similarity>.3")]
)
def test_its_webdataset_tars_are_filtered_alike(archives, webdataset, filters):
    """As the zips of the same images are."""
    zips, tars = (open_source("skyscript", p, filters=filters) for p in (archives, webdataset))

    assert stems(zips) == stems(tars)
    assert [p.read() for p in zips.photos] == [p.read() for p in tars.photos]

import io
import tarfile

import pytest

from shards.errors import ContractError
from shards.tar import read_samples, write_samples

MEMBERS = {"gt.npy": b"g" * 700, "ms.npy": b"m" * 10, "pan.npy": b"p" * 512, "json": b"{}"}


def write(path, keys=("a", "b")):
    with path.open("wb") as file:
        return write_samples(file, [(key, MEMBERS) for key in keys])


def test_samples_come_back_in_order(tmp_path):
    """Keys, members and bytes."""
    write(tmp_path / "x.tar")

    assert list(read_samples(tmp_path / "x.tar")) == [("a", MEMBERS), ("b", MEMBERS)]


def test_the_tar_is_plain_ustar_without_times_or_owners(tmp_path):
    """Nothing in the bytes depends on when, where or by whom."""
    write(tmp_path / "x.tar")

    with tarfile.open(tmp_path / "x.tar") as tar:
        for info in tar.getmembers():
            assert (
                info.mtime, info.uid, info.gid, info.uname, info.gname, info.pax_headers,
            ) == (0, 0, 0, "", "", {})  # fmt: skip
    assert (tmp_path / "x.tar").read_bytes()[257:265] == b"ustar\x0000"


def test_places_are_where_the_bytes_are(tmp_path):
    """An index made of them reads without parsing the tar."""
    places = write(tmp_path / "x.tar")
    data = (tmp_path / "x.tar").read_bytes()

    for sample in places:
        for place in sample:
            assert MEMBERS[place.extension] == data[place.offset : place.offset + place.size]


@pytest.mark.parametrize(
    "keep",
    [100, 512 + 300, 512 + 1024, 2048 + 600, 4608 + 512 + 40],
    ids=["in a header", "in data", "between members", "in a later header", "in the next sample"],
)
def test_a_cut_tar_is_never_silently_shorter(tmp_path, keep):
    """Wherever it is cut, reading either fails or gives fewer samples than the manifest says."""
    write(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes()[:keep])

    try:
        read = list(read_samples(tmp_path / "x.tar"))
    except ContractError:
        return
    assert len(read) < 2


@pytest.mark.parametrize("name", ["a.pkl", "a.gt.pyd", "a.txt", "b", "../a.json", "A.json"])
def test_strange_members_are_refused_by_name(tmp_path, name):
    """Only the contract's four, under the contract's keys."""
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))

    with pytest.raises(ContractError):
        list(read_samples(tmp_path / "x.tar"))


def test_a_link_is_refused(tmp_path):
    """A tar that points elsewhere is not a shard."""
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("a.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)

    with pytest.raises(ContractError, match="refused member"):
        list(read_samples(tmp_path / "x.tar"))


def test_a_repeated_member_is_refused(tmp_path):
    """Two arrays of one name: which is it?"""
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for _ in range(2):
            info = tarfile.TarInfo("a.json")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))

    with pytest.raises(ContractError, match="twice"):
        list(read_samples(tmp_path / "x.tar"))


def write_members(path, names):
    with tarfile.open(path, "w") as tar:
        for name in names:
            data = MEMBERS[name.partition(".")[2]]
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ["a.gt.npy", "a.ms.npy", "b.gt.npy", "a.pan.npy", "a.json"],
            "of sample a lie apart, a.pan",
        ),
        (["a.ms.npy", "a.gt.npy", "a.pan.npy", "a.json"], "must lie in the order gt.npy, ms.npy"),
        (["a.gt.npy", "b.gt.npy", "b.ms.npy", "b.pan.npy", "b.json"], "sample a lacks ms.npy"),
    ],
    ids=["apart", "order", "missing"],
)
def test_members_lie_side_by_side_in_order(tmp_path, names, words):
    """Readers that go through a tar group neighbours by name."""
    write_members(tmp_path / "x.tar", names)

    with pytest.raises(ContractError, match=words):
        list(read_samples(tmp_path / "x.tar"))

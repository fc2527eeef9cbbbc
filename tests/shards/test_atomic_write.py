import os
import subprocess
from pathlib import Path

import pytest

from shards import atomic_write
from shards.atomic_write import (
    check_folder,
    check_place,
    remove_leftovers,
    sweep_temporaries,
    temporary_path,
    whole_file,
)
from shards.errors import OutputError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    """An error in the block leaves neither the file nor a trace."""
    path = tmp_path / "a.bin"

    def fail_halfway():
        with whole_file(path) as file:
            file.write(b"half")
            assert not path.exists()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_halfway()

    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    """Readers never see a gap."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"


def test_leftovers_of_killed_processes_are_swept(tmp_path):
    """Only temporaries go."""
    temporary_path(tmp_path / "a.tar").write_bytes(b"x")
    (tmp_path / "b.tar").write_bytes(b"y")

    assert sweep_temporaries(tmp_path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: p.symlink_to("/dev/null"), os.mkdir])
def test_only_regular_files_are_replaced(tmp_path, make):
    """A rename over /dev/null, as root, would break the machine."""
    path = tmp_path / "a.json"
    make(path)
    before = what_it_is(path)

    with pytest.raises(OutputError, match=r"a\.json: it is a "), whole_file(path) as file:
        file.write(b"x")

    assert what_it_is(path) == before


def what_it_is(path):
    """Without the time of access, which following a link changes."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns


def test_names_are_new_each_time(tmp_path):
    """A leftover of the same process number and host is in nobody's way."""
    assert len({temporary_path(tmp_path / "a.tif") for _ in range(100)}) == 100


def of_process(path, process):
    mark = temporary_path(path).name.split("-")[1]
    return path.with_name(f".part-{mark}-{process}-01234567-{path.name}")


def test_ones_own_leftovers_are_taken_over(tmp_path):
    """Of a process killed under the number that this one has, or that none has any more."""
    out = tmp_path / "a.tif"
    with subprocess.Popen(["true"]) as ended:
        pass
    gone, own = of_process(out, ended.pid), of_process(out, os.getpid())
    old = tmp_path / own.name.replace("01234567-", "")  # as 0.1.0 named it
    kept = [
        of_process(tmp_path / "b.tif", ended.pid),  # becomes another file
        of_process(out, os.getppid()),  # of one that is alive
        temporary_path(out),  # of a thread of this process
        tmp_path / ".part-00000000-1-a.tif",  # of another host
    ]
    for path in (gone, own, old, *kept):
        path.mkdir()
        (path / "fused.tif").write_bytes(b"x")
        os.utime(path / "fused.tif", (1, 1))
        os.utime(path, (1, 1))
    fresh = tmp_path / gone.name.replace(
        "01234567", "76543210"
    )  # of a process elsewhere under this host's name
    fresh.write_bytes(b"x")

    remove_leftovers(out)

    assert set(tmp_path.iterdir()) == {*kept, fresh}


def test_the_first_file_in_a_folder_clears_what_killed_processes_left(tmp_path):
    """Whatever it was to become: runs, reports and builds each have a folder; once, as it lists."""
    with subprocess.Popen(["true"]) as ended:
        pass
    with subprocess.Popen(["sleep", "60"]) as alive:
        mark = temporary_path(tmp_path / "elsewhere" / "x").name.split("-")[1]
        left, kept, later = (
            tmp_path / f".part-{mark}-{process}-01234567-{name}"
            for process, name in (
                (ended.pid, "model.safetensors"), (alive.pid, "log.csv"), (ended.pid, "y.json")
            )
        )  # fmt: skip
        for path in (left, kept):
            path.write_bytes(b"x")
            os.utime(path, (1, 1))
        with whole_file(tmp_path / "results.json") as file:
            file.write(b"{}")
        later.write_bytes(b"x")
        os.utime(later, (1, 1))
        with whole_file(tmp_path / "results.json") as file:
            file.write(b"{}")
        alive.kill()

    assert {kept, later, tmp_path / "results.json"} == set(tmp_path.iterdir())


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_a_link_is_written_through(tmp_path, monkeypatch, there, relative):
    """Over two links, to a file in another folder that is there or not; the links stay.

    What is there is replaced at once, and nothing is left in either folder.
    """
    monkeypatch.chdir(tmp_path)
    root = Path() if relative else tmp_path
    for name in ("here", "there"):
        (root / name).mkdir()
    target = root / "there" / "data.bin"
    (root / "here" / "a").symlink_to("b")
    (root / "here" / "b").symlink_to("../there/data.bin" if relative else target)
    if there:
        target.write_bytes(b"old")

    check_place(root / "here" / "a")
    with whole_file(root / "here" / "a") as file:
        file.write(b"new")
        file.flush()
        assert target.exists() == there
        assert not there or target.read_bytes() == b"old"

    assert target.read_bytes() == b"new"
    assert not target.is_symlink()
    assert (root / "here" / "a").readlink() == Path("b")
    assert {"a", "b"} == {path.name for path in (root / "here").iterdir()}
    assert ["data.bin"] == [path.name for path in (root / "there").iterdir()]


def test_leftovers_are_those_beside_the_target(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "a"
    link.symlink_to("there/data.bin")
    left = temporary_path(link)
    left.write_bytes(b"half")
    atomic_write._in_use.clear()  # as another process's

    remove_leftovers(link)

    assert not left.exists()


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"a": "a"}, "leads back to itself"),
        ({"a": "b", "b": "c", "c": "a"}, "leads back to itself"),
        ({"a": "none/data.bin"}, "it links to .*data.bin, and there is no folder"),
        ({"a": "."}, "it is a folder"),
    ],
)
def test_links_that_lead_nowhere_are_refused_before_work(tmp_path, links, message):
    for name, to in links.items():
        (tmp_path / name).symlink_to(to)

    with pytest.raises(OutputError, match=message):
        check_place(tmp_path / "a")
    assert set(links) == {path.name for path in tmp_path.iterdir()}


def test_a_link_of_another_user_in_a_folder_of_all_is_not_followed(tmp_path, monkeypatch):
    """As Linux's protected_symlinks has it; one's own link there is."""
    mine = tmp_path / "mine"
    mine.write_bytes(b"old")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a").symlink_to(mine)
    shared.chmod(0o1777)
    owner = (shared / "a").lstat().st_uid
    check_place(shared / "a")
    monkeypatch.setattr(atomic_write, "_owner", lambda path: owner if path == shared else owner + 1)
    monkeypatch.setattr(os, "geteuid", lambda: owner)

    with pytest.raises(OutputError, match="another user made"), whole_file(shared / "a") as file:
        file.write(b"new")

    assert mine.read_bytes() == b"old"


def test_folders_that_cannot_be_written_to_are_refused_before_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file is no folder"):
        check_folder(tmp_path / "file" / "a" / "b")
    check_folder(tmp_path / "a" / "b")

    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root

    with pytest.raises(OutputError, match="may not be written to"):
        check_folder(tmp_path / "a" / "b")
    with pytest.raises(OutputError, match="may not be written to"):
        check_place(tmp_path / "a")

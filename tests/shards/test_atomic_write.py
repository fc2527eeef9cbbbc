import pytest

from shards.atomic_write import sweep_temporaries, temporary_path, whole_file


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

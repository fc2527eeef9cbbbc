import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from shards.errors import ContractError
from shards.manifest import NAME, Manifest
from shards.schema import decode_sample
from shards.tar import read_samples
from simgen.building.build import run_build
from simgen.building.verify import verify
from simgen.cli import main
from simgen.config import Build
from simgen.errors import BuildError, ConfigError, SourceError
from simgen.recipes import find_recipe
from simgen.simulate.dali_pipelines import can_decode


def build_of(source, out, **changes) -> Build:
    options = {
        "dataset": "folder",
        "source": source,
        "out": out,
        "recipe": replace(find_recipe("sensor"), tile=64),
        "bands": (3, 5),
        "draws": 4,
        "shard_size": 6,
        "seed": 3,
    }
    return Build(**(options | changes))


TAR = "shard-000000.tar"


def decode(sample):
    return decode_sample(sample[1])


def digests(folder):
    return {row.name: row.sha256 for row in Manifest.load(folder).shards}


def test_workers_do_not_change_the_bytes(photos, tmp_path):
    """One, two and four processes: the same sha256 for every shard, the same manifest."""
    for workers in (1, 2, 4):
        run_build(build_of(photos, tmp_path / str(workers)), workers=workers)

    assert 6 == len(digests(tmp_path / "1"))
    for other in "24":
        assert digests(tmp_path / "1") == digests(tmp_path / other)
        for name in (NAME, "wids.json", "shard-000003.idx"):
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / other / name).read_bytes()


def test_seeds_recipes_and_bands_do(photos, tmp_path):
    """What should change the bytes does."""
    run_build(build_of(photos, tmp_path / "a", limit=6), workers=1)
    run_build(build_of(photos, tmp_path / "b", limit=6, seed=4), workers=1)
    paper = replace(find_recipe("paper"), tile=64)
    run_build(build_of(photos, tmp_path / "c", limit=6, recipe=paper), workers=1)

    assert 3 == len({digests(tmp_path / name)["shard-000000.tar"] for name in "abc"})


def test_every_draw_of_every_photograph_is_made_once(photos, tmp_path):
    """8 photographs x 4 draws; shards take turns in band count."""
    manifest = run_build(build_of(photos, tmp_path / "s"), workers=1)

    seen = []
    for row in manifest.shards:
        for _, members in read_samples(tmp_path / "s" / row.name):
            gt, _, _, facts = decode_sample(members)
            assert row.bands == gt.shape[0]
            seen.append(facts.source)
    assert 32 == len(seen) == len(set(seen))
    assert {3, 5} == {row.bands for row in manifest.shards}


def test_a_finished_build_is_reused(photos, tmp_path):
    """The second call makes nothing again."""
    out = tmp_path / "s"
    first = run_build(build_of(photos, out), workers=1)
    times = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}
    reports = []

    again = run_build(build_of(photos, out), workers=1, report=reports.append)

    assert first == again
    assert times == {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}
    assert 6 == reports[0].reused


def test_a_damaged_shard_is_made_again(photos, tmp_path):
    """A flipped byte, a missing index, a torn sidecar."""
    out = tmp_path / "s"
    first = run_build(build_of(photos, out), workers=1)
    data = bytearray((out / "shard-000000.tar").read_bytes())
    data[3000] ^= 255
    (out / "shard-000000.tar").write_bytes(data)
    (out / "shard-000001.idx").unlink()
    (out / "shard-000003.idx").write_text("v1.2 0\n")
    (out / "shard-000002.json").write_text('{"plan": "half')

    assert first == run_build(build_of(photos, out), workers=1)
    verify(out)


def test_bad_images_are_left_out_and_named(photos, make_jpeg, tmp_path):
    """The build goes on; the list is exact."""
    source = tmp_path / "mixed"
    source.mkdir()
    for i in range(4):
        (source / f"good{i}.jpg").write_bytes(make_jpeg(seed=i))
    (source / "cut.jpg").write_bytes(make_jpeg()[:3000])
    (source / "empty.jpg").write_bytes(b"")
    (source / "text.jpg").write_text("this is no picture\n" * 20)
    (source / "tiny.png").write_bytes(make_jpeg(50, 50))
    with (source / "vast.jpg").open("wb") as file:
        file.truncate(300_000_000)  # a sparse file: rejected unread

    manifest = run_build(build_of(source, tmp_path / "s", draws=2), workers=2)

    reasons = {r.source: r.reason for r in manifest.rejected}
    assert {"cut.jpg", "empty.jpg", "text.jpg", "tiny.png", "vast.jpg"} == set(reasons)
    assert "300000000 bytes exceed" in reasons["vast.jpg"]
    assert "truncated" in reasons["cut.jpg"]
    assert 8 == manifest.samples
    verify(tmp_path / "s")


def test_what_dali_alone_refuses_pillow_reads(photos, make_jpeg, tmp_path):
    """A plain PPM without its last newline: a sample like that of the binary PPM of its name."""
    with Image.open(io.BytesIO(make_jpeg())) as image:
        pixels = np.asarray(image)
    words = " ".join(map(str, pixels.ravel().tolist()))
    head = f"{pixels.shape[1]} {pixels.shape[0]} 255"
    forms = {
        "binary": f"P6 {head}\n".encode() + pixels.tobytes(),
        "plain": f"P3 {head}\n{words}".encode(),
    }
    made = []
    for name, data in forms.items():
        shutil.copytree(photos, tmp_path / name)
        (tmp_path / name / "odd.ppm").write_bytes(data)
        build = build_of(
            tmp_path / name, tmp_path / f"{name}-s", draws=2, shard_size=32, bands=(3,)
        )
        assert () == run_build(build, workers=1).rejected
        made.append({f.source: a for *a, f in map(decode, read_samples(build.out / TAR))})

    assert not can_decode(forms["plain"], (0, 0, 100, 100))
    assert 18 == len(made[0])
    for key in made[0]:
        for image, other in zip(made[0][key], made[1][key], strict=True):
            if "odd" in key:  # DALI rounds a crop to 8 bits, Pillow's enters as floats
                apart = np.abs(image.astype(float) - other)
                assert apart.mean() < 0.01 * image.max()
            else:
                np.testing.assert_array_equal(image, other)


def test_an_image_that_neither_reads_is_left_out(photos, tmp_path, monkeypatch):
    """The culprit is looked for one by one."""
    from simgen.building import shard

    refused = (photos / "p2.jpg").read_bytes()
    true_run = shard.run

    def run(jobs, recipe, *, device):
        if refused in [job.image for job in jobs if isinstance(job.image, bytes)]:
            raise shard.DecodeError("nvimgcodec says no")
        return true_run(jobs, recipe, device=device)

    monkeypatch.setattr(shard, "run", run)

    def read(data, window):
        assert refused == data
        raise SourceError("Pillow says no")

    monkeypatch.setattr(shard, "can_decode", lambda image, crop, device: image != refused)
    monkeypatch.setattr(shard, "read_photograph", read)
    manifest = run_build(build_of(photos, tmp_path / "s", draws=1), workers=1)

    assert [("p2.jpg", "Pillow says no")] == [(r.source, r.reason) for r in manifest.rejected]
    assert 7 == manifest.samples


def test_a_folder_of_bad_images_gives_no_build(tmp_path):
    """Nothing usable is an error, and no manifest claims otherwise."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jpg").write_bytes(b"")

    with pytest.raises(BuildError, match=r"x.jpg: empty file"):
        run_build(build_of(tmp_path / "in", tmp_path / "out"), workers=1)
    assert not (tmp_path / "out" / NAME).exists()


def test_another_recipes_folder_is_left_alone(small_build, photos, capsys):
    """What differs is said; nothing is touched."""
    before = (small_build / NAME).read_bytes()
    arguments = ["build", "--dataset", "folder", "--source", str(photos), "--recipe", "paper"]

    code = main([*arguments, "--out", str(small_build)])

    assert 2 == code
    message = capsys.readouterr().err
    assert "holds another build" in message
    assert "recipe: sensor" in message
    assert "paper" in message
    assert before == (small_build / NAME).read_bytes()


def test_tars_of_unknown_origin_are_left_alone(photos, tmp_path):
    """A folder with someone's tars is not ours to fill."""
    (tmp_path / "x.tar").write_bytes(b"")

    with pytest.raises(BuildError, match="another origin"):
        run_build(build_of(photos, tmp_path), workers=1)


@pytest.mark.parametrize("out", ["/proc/panprior/shards", "file/inside"])
def test_an_unwritable_folder_is_one_line(photos, tmp_path, capsys, out, monkeypatch):
    """Exit code 2, where, and what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")

    code = main(["build", "--dataset", "folder", "--source", str(photos), "--out", out])

    assert 2 == code
    said = capsys.readouterr().err
    assert "cannot write" in said
    assert "give " in said


def test_a_full_disk_leaves_no_half_shard(photos, tmp_path, monkeypatch):
    """ENOSPC while a tar is written: our error, no tar, and room made later finishes it."""
    from simgen.building import shard_writing

    true_write, calls = shard_writing.write_samples, []

    def write(file, samples):
        calls.append(1)
        if len(calls) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        return true_write(file, samples)

    monkeypatch.setattr(shard_writing, "write_samples", write)
    out = tmp_path / "s"
    with pytest.raises(BuildError, match="No space left"):
        run_build(build_of(photos, out), workers=1)

    assert ["shard-000000.tar"] == sorted(p.name for p in out.glob("*.tar"))
    assert not (out / NAME).exists()
    assert 32 == run_build(build_of(photos, out), workers=1).samples


def test_a_killed_start_does_not_lock_the_folder(photos, tmp_path):
    """build.json is whole or absent; one that is neither is named, not overwritten."""
    out = tmp_path / "s"
    first = run_build(build_of(photos, out, limit=6), workers=1)
    (out / ".part-99999-build.json").write_text("{")
    assert first == run_build(build_of(photos, out, limit=6), workers=1)

    for text in ("", "[3]", '{"seed"'):
        (out / "build.json").write_text(text)
        with pytest.raises(BuildError, match="damaged"):
            run_build(build_of(photos, out, limit=6), workers=1)


@pytest.mark.parametrize("command", ["verify", "look"])
def test_a_missing_tar_is_one_line(small_build, tmp_path, capsys, command):
    """verify and look say which."""
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "shard-000002.tar").unlink()

    assert 2 == main([command, str(tmp_path)])
    assert "shard-000002.tar: expected" in capsys.readouterr().err


def test_look_asks_for_samples_and_a_place(small_build, capsys):
    """Impossible counts, unwritable files."""
    assert 2 == main(["look", str(small_build), "--samples", "-3"])
    assert 2 == main(["look", str(small_build), "--out", "/proc/nowhere/x.png"])
    assert "/proc/nowhere" in capsys.readouterr().err


def test_two_builds_in_one_folder_do_not_meet(photos, tmp_path):
    """The second is refused."""
    import fcntl

    out = tmp_path / "s"
    out.mkdir()
    with (out / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BuildError, match="another build is running"):
            run_build(build_of(photos, out), workers=1)


@pytest.mark.parametrize(
    "changes", [{"bands": ()}, {"bands": (0,)}, {"limit": 0}, {"seed": -1}, {"draws": 0}]
)
def test_impossible_builds_are_refused(photos, tmp_path, changes):
    """Before anything is written."""
    with pytest.raises(ConfigError):
        build_of(photos, tmp_path, **changes)


def test_verify_counts_what_the_manifest_lists(small_build, tmp_path, capsys):
    """A manifest that lists more samples than a tar holds is found out."""
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    raw = json.loads((tmp_path / NAME).read_text())
    raw["shards"][0]["samples"] += 1
    (tmp_path / NAME).write_text(json.dumps(raw))

    assert 0 == main(["verify", str(small_build)])
    assert 2 == main(["verify", str(tmp_path)])
    assert "expected 7 samples, got 6" in capsys.readouterr().err


def test_a_manifest_without_shards_verifies(small_build, tmp_path, capsys):
    """It promises nothing, and keeps it."""
    raw = json.loads((small_build / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(raw | {"shards": []}))

    assert 0 == main(["verify", str(tmp_path)])
    assert "0 samples in 0 shards" in capsys.readouterr().out


def test_look_draws_a_sheet(small_build, tmp_path):
    """A PNG with contrast, one row for two samples."""
    from PIL import Image

    assert 0 == main(["look", str(small_build), "--out", str(tmp_path / "s.png"), "--samples", "4"])

    sheet = np.asarray(Image.open(tmp_path / "s.png"))
    assert 3 == sheet.shape[2]
    assert sheet.std() > 40


def test_a_key_in_two_shards_is_found_out(small_build, tmp_path):
    """Each shard is as listed, hash and all; together they name two samples alike."""
    from shards.manifest import ShardRow, file_sha256

    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    raw = json.loads((tmp_path / NAME).read_text())
    first, third = (ShardRow(**raw["shards"][i]) for i in (0, 2))
    for ending in ("tar", "idx"):
        copy = (tmp_path / first.name).with_suffix(f".{ending}").read_bytes()
        (tmp_path / third.name).with_suffix(f".{ending}").write_bytes(copy)
    assert file_sha256(tmp_path / third.name) == first.sha256
    raw["shards"][2] = raw["shards"][0] | {"name": third.name}
    (tmp_path / NAME).write_text(json.dumps(raw))

    with pytest.raises(ContractError, match=rf"{third.name}: key 0000000\d\d appears twice"):
        verify(tmp_path)

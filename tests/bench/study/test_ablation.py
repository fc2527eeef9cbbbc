"""The ablation: its variants, and a small run."""

import json

import pytest
import torch

from bench.study.__main__ import main
from bench.study.runs import relative
from bench.study.variants import CRISP, VARIANTS, Based, Blind
from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.default_network import AnyBand


def batch_of(bands=4, h=18, w=16, softness=0.3) -> PanBatch:
    rng = torch.Generator().manual_seed(3)
    return PanBatch(
        ms=torch.rand(2, bands, h, w, generator=rng) * 700 + 80,
        pan=torch.rand(2, 1, 4 * h, 4 * w, generator=rng) * 900 + 100,
        ratio=4,
        mtf=torch.full((2, bands), 0.25),
        softness=torch.full((2, bands), softness),
    )


@pytest.mark.slow
def test_every_variant_is_a_set_of_bands():
    """Of another choice, but still an any-band network: bands in any order and number."""
    order = torch.tensor([2, 0, 3, 1])
    batch = batch_of()
    turned = PanBatch(
        ms=batch.ms[:, order],
        pan=batch.pan,
        ratio=4,
        mtf=batch.mtf,
        softness=batch.softness,
    )
    for name, variant in VARIANTS.items():
        torch.manual_seed(0)
        net = variant.build()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
            fused = net(batch)

            assert torch.allclose(net(turned), fused[:, order], rtol=1e-3, atol=0.5), name
            assert net(batch_of(bands=3)).shape == (2, 3, 72, 64), name


def test_bases_are_the_injections_they_name():
    """Untrained: interpolation alone, and the injection of a PAN that is not softened."""
    batch = batch_of()

    with torch.no_grad():
        assert torch.allclose(Based("EXP")(batch), upsample(batch.ms, 4), atol=1e-2)
        crisp = Based("GLP-FS, plain")(batch)
        expected = AnyBand()(batch_of(softness=CRISP))

    assert torch.equal(crisp, expected)
    assert not torch.allclose(crisp, AnyBand()(batch), atol=5)


def test_an_injection_that_is_left_out_does_not_count():
    """Blind to all other ways, the network is the same whatever they say."""
    torch.manual_seed(0)
    net = Blind(0, 1, 2, 3, 4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        net.trust.weight.fill_(3.0)
        first = net(batch_of())
        net.trust.weight.fill_(-7.0)

        assert torch.equal(first, net(batch_of()))


def test_a_small_ablation(small_build, tmp_path, capsys):
    """Runs are kept and not run again; the table has a line each, over the start."""
    folder, build = tmp_path / "ablation", str(small_build)
    options = ["--shards", build, "--held", build, "--work", str(tmp_path), "--crop", "64"]
    options += ["--seconds", "0.5", "--only", "default", "exp", "--seeds", "0", "1"]

    assert 0 == main(["ablation", *options])
    lines = capsys.readouterr().out.splitlines()
    kept = {path.name: path.read_bytes() for path in folder.glob("*-?.json")}
    assert 0 == main(["ablation", *options])

    assert {"default-0.json", "default-1.json", "exp-0.json", "exp-1.json"} == set(kept)
    assert kept == {path.name: path.read_bytes() for path in folder.glob("*-?.json")}
    assert 1 <= json.loads(kept["exp-1.json"])["steps"]
    rows = [line for line in lines if line.startswith("| ")]
    assert ["group", "default", "base"] == [row.split(" | ")[0].strip("| ") for row in rows]
    assert all("±" in row for row in rows[1:])


def test_an_ablation_without_shards_is_one_line(tmp_path, capsys):
    assert 2 == main(["ablation", "--work", str(tmp_path)])

    assert "give --shards" in capsys.readouterr().err


def test_means_are_over_scenes():
    """Half on one scene and twice on another is even; Q2n is a difference."""
    start = {n: {"ERGAS": 2.0, "SAM": 4.0, "Q2n": 0.5} for n in ("a", "b")}
    found = {
        "a": {"ERGAS": 1.0, "SAM": 2.0, "Q2n": 0.7},
        "b": {"ERGAS": 4.0, "SAM": 2.0, "Q2n": 0.5},
    }

    means = relative(found, start, held=False)

    assert pytest.approx({"ERGAS": 1.0, "SAM": 0.5, "Q2n": 0.1}) == means

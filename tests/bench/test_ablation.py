"""The ablation: what its variants are, and a run of it in small."""

import json
import sys

import pytest
import torch

from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.default_network import AnyBand
from tests.support.paths import ROOT

BENCH = ROOT / "bench"


@pytest.fixture
def bench(monkeypatch):
    """The bench's modules, which are no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    import ablate
    import variants

    yield ablate, variants
    for name in ("ablate", "variants"):
        sys.modules.pop(name, None)


def batch_of(bands=4, h=18, w=16, softness=0.3) -> PanBatch:
    dice = torch.Generator().manual_seed(3)
    return PanBatch(
        ms=torch.rand(2, bands, h, w, generator=dice) * 700 + 80,
        pan=torch.rand(2, 1, 4 * h, 4 * w, generator=dice) * 900 + 100,
        ratio=4,
        mtf=torch.full((2, bands), 0.25),
        softness=torch.full((2, bands), softness),
    )


def test_every_variant_is_a_set_of_bands(bench):
    """Of another choice, but still an any-band network: bands in any order and number."""
    variants = bench[1].VARIANTS
    order = torch.tensor([2, 0, 3, 1])
    batch = batch_of()
    turned = PanBatch(
        ms=batch.ms[:, order],
        pan=batch.pan,
        ratio=4,
        mtf=batch.mtf,
        softness=batch.softness,
    )
    for name, variant in variants.items():
        torch.manual_seed(0)
        net = variant.build()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
            fused = net(batch)

            assert torch.allclose(net(turned), fused[:, order], rtol=1e-3, atol=0.5), name
            assert net(batch_of(bands=3)).shape == (2, 3, 72, 64), name


def test_bases_are_the_injections_they_name(bench):
    """Untrained: interpolation alone, and the injection of a PAN that is not softened."""
    based, batch = bench[1].Based, batch_of()

    with torch.no_grad():
        assert torch.allclose(based("EXP")(batch), upsample(batch.ms, 4), atol=1e-2)
        crisp = based("GLP-FS, plain")(batch)
        told = AnyBand()(batch_of(softness=bench[1].CRISP))

    assert torch.equal(crisp, told)
    assert not torch.allclose(crisp, AnyBand()(batch), atol=5)


def test_what_is_not_seen_does_not_count(bench):
    """Blind to all other ways, the network is the same whatever they say."""
    torch.manual_seed(0)
    net = bench[1].Blind(0, 1, 2, 3, 4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        net.trust.weight.fill_(3.0)
        first = net(batch_of())
        net.trust.weight.fill_(-7.0)

        assert torch.equal(first, net(batch_of()))


def test_a_small_ablation(bench, small_build, tmp_path, capsys):
    """Runs are kept and not run again; the table has a line each, over the start."""
    ablate = bench[0]
    common = [
        "--shards",
        str(small_build),
        "--held",
        str(small_build),
        "--out",
        str(tmp_path),
        "--crop",
        "64",
    ]
    options = [*common, "--seconds", "0.5", "--only", "", "exp", "--seeds", "0", "1"]

    assert 0 == ablate.main(options)
    lines = capsys.readouterr().out.splitlines()
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*-?.json")}
    assert 0 == ablate.main(options)

    assert {"default-0.json", "default-1.json", "exp-0.json", "exp-1.json"} == set(kept)
    assert kept == {path.name: path.read_bytes() for path in tmp_path.glob("*-?.json")}
    assert 1 <= json.loads(kept["exp-1.json"])["steps"]
    rows = [line for line in lines if line.startswith("| ")]
    assert ["group", "default", "base"] == [row.split(" | ")[0].strip("| ") for row in rows]
    assert all("±" in row for row in rows[1:])


def test_means_are_over_scenes(bench):
    """Half on one scene and twice on another is even; Q2n is a difference."""
    start = {n: {"ERGAS": 2.0, "SAM": 4.0, "Q2n": 0.5} for n in ("a", "b")}
    found = {
        "a": {"ERGAS": 1.0, "SAM": 2.0, "Q2n": 0.7},
        "b": {"ERGAS": 4.0, "SAM": 2.0, "Q2n": 0.5},
    }

    means = bench[0].against(found, start, held=False)

    assert pytest.approx({"ERGAS": 1.0, "SAM": 0.5, "Q2n": 0.1}) == means

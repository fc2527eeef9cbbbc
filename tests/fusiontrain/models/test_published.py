"""Published forms: their sizes against print, and what every network here must do."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fusiontrain.errors import ShapeError
from fusiontrain.fusion.window_loop import CORE
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import MODELS, WHOLE_IMAGE_HALO, build_model
from fusiontrain.training.losses import relative_l1
from tests.support.paths import ROOT

PUBLISHED = sorted(name for name in MODELS if not MODELS[name].any_band)

# Small enough to run often; what is asked does not depend on width.
pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {
    "gppnn": {"width": 8, "layers": 2},
    "panformer": {"width": 8, "heads": 2, "rounds": 1},
    "swinir": {"width": 12, "heads": 2, "groups": 1, "layers": 2},
    "panmamba": {"width": 8, "alone": 1, "swaps": 1, "crossings": 1},
    "fusionmamba": {"width": 8},
}

# (model, bands, parameters, relative tolerance, where the count is printed)
COUNTS = [
    ("pnn", 8, 104_000, 0.005, "104 k, as comparisons of the PanCollection papers print it"),
    ("pannet", 8, 83_000, 0.005, "78-83 k, from the same"),
    ("msdcnn", 8, 229_000, 0.005, "229 k, from the same"),
    ("fusionnet", 8, 79_000, 0.006, "76-79 k, from the same"),
    ("fusionnet", 4, 76_000, 0.006, "76-79 k, from the same"),
    ("lagconv", 8, 150_000, 0.01, "54-150 k, from the same"),
    ("panformer", 4, 1_530_300, 0.004, "1.5303 M from memory, not checked; 5,120 are masks"),
    ("panmamba", 4, 480_000, 0.05, "0.48 M; ours lacks 6 k that nothing uses, see its docstring"),
    ("gppnn", 4, 119_800, 0.001, "0.1198 M at 4 bands, from memory, not checked"),
]


def small(name: str, bands: int = 4, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_model(name, bands=bands, **SMALL.get(name, {}))


def batch_of(bands=4, h=8, w=10, ratio=4, dtype=torch.float32, size=1) -> PanBatch:
    dice = torch.Generator().manual_seed(3)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=dice, dtype=dtype) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=dice, dtype=dtype) * 700 + 80
    gains = torch.full((size, bands), 0.3, dtype=dtype)
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=gains, softness=gains)


@pytest.fixture(params=PUBLISHED)
def name(request):
    return request.param


@pytest.mark.parametrize(("model", "bands", "count", "tolerance", "source"), COUNTS)
def test_as_many_parameters_as_in_print(model, bands, count, tolerance, source):
    """The published count, at the bands it was counted at."""
    with torch.device("meta"):
        net = build_model(model, **{**MODELS[model].sizes, "bands": bands})

    assert pytest.approx(count, rel=tolerance) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_the_table_counts_right(entry):
    """Parameters, and FLOPs per PAN pixel as torch's own counter sees them."""
    net = entry.build(**entry.sizes)
    side = 8 if entry.family == "mamba" else 16  # scans are slow to count, and count alike
    batch = batch_of(entry.sizes.get("bands", 4), side, side)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(batch)

    assert entry.params == sum(p.numel() for p in net.parameters())
    assert pytest.approx(entry.flops, rel=0.01) == counter.get_total_flops() / (4 * side) ** 2


@pytest.mark.parametrize("bands", [4, 8])
@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
def test_any_size_comes_back_as_it_came(name, bands, phase):
    """Sizes that are multiples of nothing; finite DN."""
    batch = replace(batch_of(bands, 7, 9), phase=phase)

    with torch.no_grad():
        fused = small(name, bands)(batch)

    assert (1, bands, 28, 36) == fused.shape
    assert torch.isfinite(fused).all()


def test_gradients_reach_every_parameter(name):
    """Nothing is built that nothing uses."""
    net = small(name)
    batch = batch_of(h=8, w=8)

    net(batch).square().mean().backward()

    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert [] == idle


@pytest.mark.parametrize(("bands", "ratio"), [(3, 4), (4, 3)])
def test_what_does_not_fit_is_one_clear_line(name, bands, ratio):
    """Bands it was not built for; a ratio where the paper has but one."""
    net = small(name)
    if bands == 4 and net.only_ratio is None:
        with torch.no_grad():
            assert (1, 4, 24, 30) == net(batch_of(4, ratio=3)).shape
        return

    with pytest.raises(ShapeError, match=r"built for .*; got \d: use .*any-band") as caught:
        net(batch_of(bands, ratio=ratio))
    assert "\n" not in str(caught.value)


def test_scale_is_a_unit(name):
    """Twice the DN over twice the full scale is the same picture."""
    net, batch = small(name).double(), batch_of(dtype=torch.float64)
    other = replace(batch, ms=batch.ms * 2, pan=batch.pan * 2)

    with torch.no_grad():
        expected = 2 * net(batch)
        net.full_scale *= 2
        torch.testing.assert_close(net(other), expected)


def test_a_batch_is_its_samples(name):
    """Samples do not see each other."""
    net, batch = small(name).double(), batch_of(dtype=torch.float64, size=3)
    second = replace(
        batch, **{key: getattr(batch, key)[1:2] for key in ("ms", "pan", "mtf", "softness")}
    )

    with torch.no_grad():
        torch.testing.assert_close(net(batch)[1:2], net(second))


def test_bf16_keeps_the_scale(name):
    """Autocast rounds the network's layers, never the DN of the interpolated MS."""
    net, batch = small(name), batch_of(h=8, w=8)

    with torch.no_grad():
        exact = net(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = net(batch)

    assert torch.float32 == rounded.dtype
    assert float((rounded - exact).abs().mean()) < 0.03 * float(exact.std())


def test_checkpoints_bring_back_bits_and_sizes(name, tmp_path):
    """From the sizes a checkpoint records, and nothing else."""
    sizes = {**MODELS[name].sizes, **SMALL.get(name, {}), "bands": 3, "full_scale": 1023}
    net, batch = build_model(name, **sizes).eval(), batch_of(3)
    info = CheckpointInfo(model=name, sizes=sizes, training={})

    save_checkpoint(tmp_path / "w.safetensors", net, info)
    loaded, found = load_checkpoint(tmp_path / "w.safetensors")

    assert info == found
    with torch.no_grad():
        assert torch.equal(net(batch), loaded(batch))


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_freeze_tuning_names_real_parameters(entry):
    """Every beginning finds some; together they are the smaller part."""
    with torch.device("meta"):
        net = entry.build(**entry.sizes)
    sizes = {n: p.numel() for n, p in net.named_parameters()}

    for beginning in entry.freeze_tuning_prefixes:
        assert any(n.startswith(beginning) for n in sizes), beginning
    tuned = sum(size for n, size in sizes.items() if n.startswith(entry.freeze_tuning_prefixes))
    assert 0 < tuned < sum(sizes.values()) / 2


def gradient_reach(net: torch.nn.Module, at: int, axis: int, side: int, wide: int) -> int:
    """PAN pixels from output pixel `at` of a strip to the farthest input it depends on."""
    shape = (side, wide) if axis == 0 else (wide, side)
    batch = batch_of(net.bands, *shape, dtype=torch.float64)
    batch.pan.requires_grad_(True)
    batch.ms.requires_grad_(True)
    place = (at, 2 * wide) if axis == 0 else (2 * wide, at)
    net(batch)[0, 0, place[0], place[1]].backward()
    fine = torch.nonzero(batch.pan.grad[0, 0].abs().sum(1 - axis))[:, 0]
    coarse = 4 * torch.nonzero(batch.ms.grad[0].abs().sum((0, 2 - axis)))[:, 0]
    ends = (fine.min(), fine.max(), coarse.min(), coarse.max() + 3)
    return max(abs(int(end) - at) for end in ends)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is not None])
def test_it_looks_exactly_as_far_as_it_says(model, axis):
    """Gradients of one output pixel for each place on the network's grid that can be farthest."""
    entry = MODELS[model]
    net = small_of_full_depth(model)
    grid = max(4, entry.multiple_of)
    side = 2 * (-(-entry.reach // grid) + 1) * grid // 4
    middle = side * 2 // grid * grid
    places = {middle + i for i in FARTHEST.get(model, range(grid))}

    reaches = [gradient_reach(net, at, axis, side, grid // 4 + 3) for at in sorted(places)]

    assert entry.reach == max(reaches)


@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is not None])
def test_a_window_fuses_as_the_scene_does(model):
    """Cut on the network's own grid, the halo around: the same pixels."""
    net, grid = small(model).double().eval(), max(4, MODELS[model].multiple_of)
    halo = grid * -(-MODELS[model].halo(4) // grid)
    start = halo + grid
    batch = batch_of(4, 3, (start + 2 * halo + 64) // 4, dtype=torch.float64)
    from_, to = start - halo, start + 16 + halo
    window = replace(batch, ms=batch.ms[..., from_ // 4 : to // 4], pan=batch.pan[..., from_:to])

    with torch.no_grad():
        whole, part = net(batch), net(window)

    torch.testing.assert_close(whole[..., start : start + 16], part[..., halo : halo + 16])


def small_of_full_depth(name: str) -> torch.nn.Module:
    """Narrow where depth is dear, yet wide enough that no ReLU shuts a whole path."""
    torch.manual_seed(1)
    sizes = {**MODELS[name].sizes, "bands": 4, **NARROW.get(name, {})}
    return build_model(name, **sizes).double().eval()


# Where in a window the pixels stand that look farthest, found by trying all.
FARTHEST = {"panformer": (0, 15), "swinir": (4,)}
NARROW = {
    "gppnn": {"width": 16},
    "panformer": {"width": 8, "heads": 1},
    "swinir": {"width": 4, "heads": 1},
}


@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is None])
def test_networks_without_a_reach_look_at_everything(model):
    """The last pixel depends on the first; windows of a large scene overlap all the same."""
    batch = batch_of(4, 8, 8, dtype=torch.float64)
    batch.pan.requires_grad_(True)

    small(model).double()(batch)[0, 0, -1, -1].backward()

    assert float(batch.pan.grad[0, 0, 0, 0].abs()) > 0
    assert MODELS[model].halo(4) >= WHOLE_IMAGE_HALO


def test_windows_start_on_the_networks_own_grid():
    """Else attention would see other windows in every tile."""
    for entry in MODELS.values():
        assert CORE % entry.multiple_of == 0
        assert entry.halo(4) % entry.multiple_of == 0


def test_swinirs_count_is_the_papers_but_for_what_the_pan_adds():
    """897 k in print (from memory, not checked), without tables of distances; RGB, no PAN."""
    tables = 4 * 6 * 15**2 * 6
    first, last = 9 * 60 * (4 + 16 - 3), (9 * 60 + 1) * 16 * (4 - 3)

    assert 897 == round((MODELS["swinir"].params - tables - first - last) / 1000)


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_the_documentation_says_what_the_table_says(entry):
    """Paper, counts, reach and FLOPs of docs/reference/models.md."""
    text = (ROOT / "docs" / "reference" / "models.md").read_text()

    row = next(line for line in text.splitlines() if line.startswith(f"| {entry.name} | "))

    reach = "all" if entry.reach is None else entry.reach
    for said in (entry.paper, entry.published, f"{entry.params:,}", reach, f"{entry.flops:,}"):
        assert f"| {said} |" in row


# (model, the loss must fall to this part of its start in so many steps, learning rate)
OVERFIT = [
    ("fusionnet", 0.8, 20, 2e-3),
    ("swinir", 0.8, 20, 2e-3),
    ("panmamba", 0.8, 20, 4e-3),
    ("gppnn", 0.8, 20, 2e-3),
]


@pytest.mark.parametrize(("model", "part", "steps", "rate"), OVERFIT)
def test_one_of_each_family_learns(model, part, steps, rate):
    """One pair by heart: a smooth truth whose detail is the PAN's."""
    torch.manual_seed(0)
    net, batch = small(model), batch_of(h=4, w=4, size=2)
    detail = batch.pan - batch.pan.mean()
    truth = batch.ms.repeat_interleave(4, 2).repeat_interleave(4, 3) + 0.3 * detail
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)

    losses = []
    for _ in range(steps):
        loss = relative_l1(net(batch), truth, batch.ms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < part * losses[0]

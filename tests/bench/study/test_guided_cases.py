"""Simulated scenes of several sharp bands."""

import torch

from bench.study.guided_cases import simulated_cases


def test_bands_grids_and_ranges_are_those_of_the_sensors():
    cases = {case.name: case for case in simulated_cases(0)}
    swir = cases["WorldView-3 SWIR, coffee"]
    cube = cases["hyperspectral cube, coffee"]
    assert (len(swir.guides), len(swir.ms), swir.ratio) == (8, 8, 6)
    assert (len(cube.guides), len(cube.ms), cube.ratio) == (4, 32, 3)
    for case in cases.values():
        assert case.guides.shape[1:] == case.truth.shape[1:] == (384, 384)
        assert case.ms.shape[1:] == (384 // case.ratio, 384 // case.ratio)
        assert 0 <= float(case.truth.min()) < float(case.truth.max()) < 2**15
        assert torch.isfinite(case.guides).all()


def test_the_ms_has_the_mean_of_its_truth_and_bands_near_each_other_are_alike():
    """A blur keeps a band's mean; bands 64 nm apart correlate more than bands 1,900 nm apart."""
    cube = next(case for case in simulated_cases(0) if case.name.startswith("hyperspectral"))
    torch.testing.assert_close(cube.ms.mean((1, 2)), cube.truth.mean((1, 2)), rtol=0.01, atol=2)
    alike = torch.corrcoef(cube.truth.flatten(1))
    assert float(alike.diagonal(1).mean()) > 0.99
    assert float(alike[:4, -4:].mean()) < float(alike.diagonal(4).mean())


def test_a_seed_gives_the_same_scenes_and_another_seed_others():
    first, again, other = (next(simulated_cases(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.ms, again.ms)
    assert not torch.equal(first.truth, other.truth)

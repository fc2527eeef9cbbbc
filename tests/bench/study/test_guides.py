"""The study of several sharp bands, on the Sentinel-2 chip."""

import pytest

from bench.study.guided_cases import real_cases
from bench.study.guides import _rows
from fusiontrain.metrics import ergas, q2n, sam
from tests.support.paths import SHARED

CHIPS = SHARED / "data" / "sentinel2"


@pytest.mark.slow
@pytest.mark.skipif(not CHIPS.is_dir(), reason=f"needs a Sentinel-2 chip in {CHIPS}")
def test_the_network_is_better_than_every_classical_method_on_the_six_bands_of_20_m():
    case = next(real_cases(CHIPS))
    assert (len(case.ms), case.ratio) == (6, 2)
    rows = dict(_rows(case, []))
    ours = rows.pop("`default-sensor`")
    classical = {name: fused for name, fused in rows.items() if "`" not in name}
    assert len(classical) > 30
    for fused in classical.values():
        assert ergas(case.truth, ours, ratio=2) < ergas(case.truth, fused, ratio=2)
        assert sam(case.truth, ours) < sam(case.truth, fused)
        assert q2n(case.truth, ours) > q2n(case.truth, fused)
    whole = [fused for name, fused in classical.items() if not name.endswith("local synthesis")]
    best = min(float(ergas(case.truth, fused, ratio=2)) for fused in whole)
    assert float(ergas(case.truth, ours, ratio=2)) < 0.85 * best
    error, bicubic = ((fused - case.truth).square().mean((1, 2))
                      for fused in (ours, classical["bicubic"]))  # fmt: skip
    assert (error < bicubic).all()

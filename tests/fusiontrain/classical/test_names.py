import numpy as np
import pytest

from fusiontrain.classical import METHODS, find_method_name
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.benchmark import classical_contenders
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.scenes.output_values import to_dtype


@pytest.mark.parametrize("name", METHODS)
def test_case_and_hyphens_are_free(name):
    """In `fuse`, in `benchmark` and in Python; held as tables name it."""
    for text in (
        *(name, name.lower(), name.upper(), name.replace("-", ""), name.replace(" ", "-")),
        *(name.replace("-", "_"), name.lower().removeprefix("mtf-"), f" {name} "),
    ):
        assert find_method_name(text) == name
        assert [c.name for c in classical_contenders(text, registered=False)] == [name]
        assert FusionOptions(method=text).method == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("glp", "MTF-GLP"),
        ("glp-hpm-r-soft", "MTF-GLP-HPM-R soft"),
        ("bt-h", "BT-H"),
        ("sr-d-soft", "SR-D soft"),
        ("Net", "net"),
    ],
)
def test_names_of_earlier_versions_stay(text, name):
    """Each means what it did."""
    assert FusionOptions(method=text).method == name


def test_one_method_twice_and_none():
    """However it is spelt."""
    with pytest.raises(SceneError, match="names one twice"):
        classical_contenders("gsa,GSA", registered=False)
    with pytest.raises(SceneError, match="no method gsb"):
        classical_contenders("gsa,gsb", registered=False)
    assert classical_contenders("None", registered=False) == []


@pytest.mark.parametrize("dtype", ["u8", "i8", "u4", "i4", "u2", "i2", "u1", "i1"])
def test_integers_of_any_size_saturate(dtype):
    """Also at the ends of 64 bits, which no float holds."""
    info = np.iinfo(dtype)
    made = to_dtype(np.float32([-1e30, -3.4, 0.6, 1e30]), np.dtype(dtype), None)

    assert made[0] == info.min
    assert made[1] == max(info.min, -3)
    assert made[2] == 1
    assert info.max - made[3] <= info.max // 2**50

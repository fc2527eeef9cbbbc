import numpy as np
import pytest

from fusiontrain.errors import SceneError
from fusiontrain.scenes.output_values import output_pixels


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_where_there_is_data(dtype, value):
    """In any band; where pixels are missing it becomes nodata."""
    fused = np.ones((3, 4, 5), np.float32)
    fused[1, 2, 3] = value
    valid = np.ones((4, 5), bool)

    with pytest.raises(SceneError, match=r"1 of 20 pixels with data .* not finite"):
        output_pixels(fused, valid, np.dtype(dtype), 7)

    valid[2, 3] = False
    data = output_pixels(fused, valid, np.dtype(dtype), 7)
    assert (data[:, 2, 3] == 7).all()
    assert (data[:, valid] == 1).all()

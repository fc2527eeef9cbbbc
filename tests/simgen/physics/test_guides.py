import numpy as np
import pytest

from simgen.config import Build, Recipe
from simgen.errors import ConfigError
from simgen.physics.guides import synthesised
from simgen.recipes import find_recipe


def test_a_band_that_is_a_mix_of_guides_has_that_mix_as_its_pan():
    rng = np.random.default_rng(0)
    guides, mix = rng.uniform(100, 900, (3, 16, 16)), np.array([0.2, -0.1, 0.6])
    low = guides.reshape(3, 8, 2, 8, 2).mean((2, 4))
    pan = synthesised(guides, low, np.tensordot(mix, low, 1) + 50)
    np.testing.assert_allclose(pan[0], np.tensordot(mix, guides, 1) + 50, atol=0.1)


def test_equal_guides_share_their_weight():
    guide = np.random.default_rng(0).uniform(100, 900, (1, 16, 16))
    guides = np.repeat(guide, 2, 0)
    low = guides.reshape(2, 8, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(synthesised(guides, low, low[0])[0], guide[0], atol=0.1)


@pytest.mark.parametrize(
    "field", ["physical", "moving_chance", "local_shift_chance", "pan_unexplained_chance"]
)
def test_guides_do_not_go_with_what_is_a_pans_alone(field):
    recipe = find_recipe("guides")
    with pytest.raises(ConfigError, match=field):
        recipe.with_fields(**{field: 0.5})


def test_a_build_with_guides_has_one_band(tmp_path):
    with pytest.raises(ConfigError, match="bands=1"):
        Build(dataset="folder", source=tmp_path, out=tmp_path, recipe=find_recipe("guides"))


def test_recipes_without_guides_keep_their_digests():
    """The field came later: no recipe's data name it at its default."""
    assert "guides" not in Recipe(name="plain").as_data()
    assert find_recipe("guides-x6").as_data()["guides"] == 4

"""The satellite of a scene, by tags and names."""

import pytest

from fusiontrain.fusion.sensor_identity import named_sensor


@pytest.mark.parametrize(
    ("tags", "name", "sensor", "where"),
    [
        ({"SATELLITE": "QuickBird"}, "IKONOS_1", "QuickBird", "tag SATELLITE"),
        ({"AUTHOR": "QuickBird"}, "IKONOS_1", "IKONOS", "by its name"),
        ({"SENSOR_NOTE": "QuickBird " * 10}, "a", None, "by its name"),
        ({}, "test_wv3_multiExm1", "WorldView-3", "by its name"),
        ({}, "scene", None, "by its name"),
    ],
)
def test_tags_of_a_sensor_go_before_the_file_name(tags, name, sensor, where):
    row, source = named_sensor(tags, name)

    assert (sensor, where) == (None if row is None else row.name, source)

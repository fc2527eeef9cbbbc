"""Masks between the two grids, against counts made by hand."""

import torch

from fusiontrain.imaging.masks import eroded, ms_valid_mask, pan_valid_mask


def mask(*rows: str) -> torch.Tensor:
    return torch.tensor([[character == "1" for character in row] for row in rows])


def test_an_ms_pixel_is_valid_if_all_its_pan_pixels_are() -> None:
    valid = mask("110111", "111111", "111110", "111111")
    assert torch.equal(ms_valid_mask(valid, 2), mask("101", "110"))


def test_pan_pixels_beyond_the_last_whole_ms_pixel_do_not_count() -> None:
    valid = mask("11110", "11110", "00000")
    assert torch.equal(ms_valid_mask(valid, 2), mask("11"))


def test_batches_are_masked_image_by_image() -> None:
    first, second = mask("1111", "1111"), mask("1110", "1111")
    expected = torch.stack([mask("11"), mask("10")])
    assert torch.equal(ms_valid_mask(torch.stack([first, second]), 2), expected)


def test_a_pan_pixel_is_as_valid_as_its_ms_pixel() -> None:
    assert torch.equal(pan_valid_mask(mask("10"), 3), mask("111000", "111000", "111000"))


def test_erosion_reaches_diagonally_and_not_over_the_edge() -> None:
    valid = mask("11111", "11111", "11111", "11110")
    assert torch.equal(eroded(valid, 1), mask("11111", "11111", "11100", "11100"))

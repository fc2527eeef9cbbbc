"""Wavelengths of the sensors' bands: lower and upper end, nm; nothing computes with them.

Source: the makers' figures as catalogues repeat them: CATALYST's of QuickBird, IKONOS,
WorldView-3 and Sentinel-2, the International Charter's of WorldView-2 and GeoEye-1, DINAMIS's of
SPOT, USGS's of Landsat. WorldView-4's are taken as GeoEye-1's; Pleiades' and GaoFen's are of
memory, not checked.
"""

PAN = "pan"
_IKONOS = {"pan": (450, 900), "blue": (450, 520), "green": (520, 600), "red": (630, 690),
           "nir": (760, 900)}  # fmt: skip
_GEOEYE = {"pan": (450, 800), "blue": (450, 510), "green": (510, 580), "red": (655, 690),
           "nir": (780, 920)}  # fmt: skip
_WORLDVIEW = {"pan": (450, 800), "coastal": (400, 450), "blue": (450, 510), "green": (510, 580),
              "yellow": (585, 625), "red": (630, 690), "rededge": (705, 745), "nir1": (770, 895),
              "nir2": (860, 1040)}  # fmt: skip
_GAOFEN = {"pan": (450, 900), "blue": (450, 520), "green": (520, 590), "red": (630, 690),
           "nir": (770, 890)}  # fmt: skip
_SPOT = {"pan": (450, 745), "blue": (450, 520), "green": (530, 590), "red": (625, 695),
         "nir": (760, 890)}  # fmt: skip
_OLI = {"pan": (503, 676), "blue": (452, 512), "green": (533, 590), "red": (636, 673),
        "nir": (851, 879)}  # fmt: skip
_MSI = {"B01": (433, 453), "B02": (457, 523), "B03": (542, 578), "B04": (650, 680),
        "B05": (697, 713), "B06": (732, 748), "B07": (773, 793), "B08": (784, 900),
        "B8A": (855, 875), "B09": (935, 955), "B11": (1565, 1655), "B12": (2100, 2280)}  # fmt: skip
WAVELENGTHS: dict[str, dict[str, tuple[int, int]]] = {  # sensor -> band or pan -> ends, nm
    "QuickBird": {"pan": (405, 1053), "blue": (430, 545), "green": (466, 620), "red": (590, 710),
                  "nir": (715, 918)},
    "IKONOS": _IKONOS,
    "GeoEye-1": _GEOEYE,
    "WorldView-4": _GEOEYE,
    "WorldView-2": _WORLDVIEW,
    "WorldView-3": _WORLDVIEW,
    "GaoFen-1": _GAOFEN,
    "GaoFen-2": _GAOFEN,
    "Pleiades": {"pan": (470, 830), "blue": (430, 550), "green": (500, 620), "red": (590, 710),
                 "nir": (740, 940)},
    "SPOT-6": _SPOT,
    "SPOT-7": _SPOT,
    "Landsat-8": _OLI,
    "Landsat-9": _OLI,
    "Sentinel-2": _MSI,  # without a PAN
}  # fmt: skip

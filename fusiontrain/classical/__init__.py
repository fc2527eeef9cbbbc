"""Classical methods: pure functions (ms, pan, sensor) -> fused, DN. A table, not a registry.

    from fusiontrain.classical import gsa, METHODS
    fused = gsa(ms, pan, "IKONOS")                       # (C, h, w), (1, H, W) -> (C, H, W)
    fused = METHODS["MTF-GLP-FS"](ms, pan, pan_softness=0.3)

A method named "... soft" gets a PAN softened to the batch's softness first, which networks are
given too, and counts as a method of its own.
"""

from dataclasses import replace

from fusiontrain.classical import bdsd as _bdsd
from fusiontrain.classical import glp, substitution
from fusiontrain.classical.method import SOFT, Method
from fusiontrain.classical.pracs import pracs as _pracs
from fusiontrain.classical.sr_d import sr_d as _sr_d
from fusiontrain.classical.tv import tv as _tv

# Without a blur, only interpolation and registration depend on neighbours.
exp = Method(
    name="EXP",
    paper="interpolation alone; Vivone et al. 2015, TGRS 53(5):2565-2586",
    formula=substitution.exp,
    family="none",
    reach=6,
    blind=True,
)
brovey = Method(
    name="Brovey",
    paper="Gillespie et al. 1987, RSE 22(3):343-365",
    formula=substitution.brovey,
    family="CS",
    reach=6,
    blind=True,
)
pca = Method(
    name="PCA",
    paper="Chavez et al. 1991, PE&RS 57(3):295-303",
    formula=substitution.pca,
    family="CS",
    stacks=("bands",),
    reach=6,
    blind=True,
)
gs = Method(
    name="GS",
    paper="Laben and Brower 2000, US patent 6,011,875",
    formula=substitution.gs,
    family="CS",
    stacks=("bands",),
    reach=6,
    blind=True,
)
gsa = Method(
    name="GSA",
    paper="Aiazzi et al. 2007, TGRS 45(10):3230-3239",
    formula=substitution.gsa,
    family="CS",
    stacks=("bands", "coarse"),
)
bt_h = Method(
    name="BT-H",
    paper="Lolli et al. 2017, GRSL 14(12):2255-2259",
    formula=substitution.bt_h,
    family="CS",
    stacks=("gauss",),
    darkest=True,
)
pracs = Method(
    name="PRACS",
    paper="Choi et al. 2011, TGRS 49(1):295-309",
    formula=_pracs,
    family="CS",
    stacks=("bands", "matched"),
)
bdsd = Method(
    name="BDSD",
    paper="Garzelli et al. 2008, TGRS 46(1):228-236",
    formula=_bdsd.bdsd,
    family="CS",
    stacks=("level down",),
)
bdsd_pc = Method(
    name="BDSD-PC",
    paper="Vivone 2019, TGRS 57(9):6421-6433",
    formula=_bdsd.bdsd_pc,
    family="CS",
    stacks=("level down",),
)
awlp = Method(
    name="AWLP",
    paper="Otazu et al. 2005, TGRS 43(10):2376-2385",
    formula=glp.awlp,
    family="MRA",
    stacks=("bicubic",),
)
mtf_glp = Method(
    name="MTF-GLP",
    paper="Aiazzi et al. 2006, PE&RS 72(5):591-596",
    formula=glp.mtf_glp,
    family="MRA",
    stacks=("gauss",),
)
mtf_glp_fs = Method(
    name="MTF-GLP-FS",
    paper="Vivone et al. 2018, TIP 27(7):3418-3431",
    formula=glp.mtf_glp_fs,
    family="MRA",
    stacks=("pyramid",),
)
mtf_glp_cbd = Method(
    name="MTF-GLP-CBD",
    paper="Alparone et al. 2007, TGRS 45(10):3012-3021",
    formula=glp.mtf_glp_cbd,
    family="MRA",
    stacks=("pyramid",),
)
mtf_glp_hpm = Method(
    name="MTF-GLP-HPM",
    paper="Vivone et al. 2014, GRSL 11(5):930-934",
    formula=glp.mtf_glp_hpm,
    family="MRA",
    stacks=("gauss",),
)
mtf_glp_hpm_r = Method(
    name="MTF-GLP-HPM-R",
    paper="Vivone et al. 2018, TGRS 56(12):6891-6904",
    formula=glp.mtf_glp_hpm_r,
    family="MRA",
    stacks=("pyramid",),
)
sr_d = Method(
    name="SR-D",
    paper="Vicinanza et al. 2015, GRSL 12(1):180-184",
    formula=_sr_d,
    family="model",
    stacks=("bands",),
    reach=16,
    window=128,
)
tv = Method(
    name="TV",
    paper="Palsson et al. 2014, GRSL 11(1):318-322",
    formula=_tv,
    family="model",
    stacks=("coarse",),
    reach=24,
    window=256,
)

_PLAIN = (
    *(exp, brovey, pca, gs, gsa, bt_h, pracs, bdsd, bdsd_pc),
    *(awlp, mtf_glp, mtf_glp_fs, mtf_glp_cbd, mtf_glp_hpm, mtf_glp_hpm_r, sr_d, tv),
)
PLAIN: dict[str, Method] = {method.name: method for method in _PLAIN}
METHODS: dict[str, Method] = PLAIN | {
    f"{method.name}{SOFT}": replace(
        method, name=f"{method.name}{SOFT}", soft=True, reach=max(method.reach, 12), blind=False
    )
    for method in _PLAIN
    if method is not exp  # it does not use PAN
}


def find_method_name(text: str) -> str | None:
    """The method's name in METHODS, however it is spelt; None if there is none.

    Case, blanks, hyphens and the prefix MTF are free: gsa, glp-hpm-r, MTF-GLP-HPM-R, gsa-soft.
    """
    return _SPELT.get(_letters(text))


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


_SPELT = {_letters(name).removeprefix("mtf"): name for name in METHODS} | {
    _letters(name): name for name in METHODS
}

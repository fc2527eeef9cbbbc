"""Real scenes for fine-tuning: no simulation."""

from simgen.config import Recipe

WALD = "wald"


def wald() -> Recipe:
    """Wald's protocol on real PAN and MS pairs: only `tile` and `ratio` of the recipe count.

    The MS is the target; MS and PAN are themselves reduced by the ratio, the MS at its sensor's
    published gains, the PAN as the benchmark reduces it: see simgen/simulate/wald.py.
    Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    Cost: reading; some hundred tiles a second and core.
    """
    return Recipe(name=WALD, oversample=1, zoom=(1.0, 1.0))

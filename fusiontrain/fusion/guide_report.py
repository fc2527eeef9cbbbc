"""What a fusion by guides says of its bands: how each one's PAN was made, and what it explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusiontrain.fusion.guided_fuser import GuidedGroup
from fusiontrain.fusion.registration import registration
from fusiontrain.scenes.guided_scene import GUIDES, GuidedScene

_LITTLE = 0.5  # R2 under which a band is said to stay near its own detail


@dataclass(frozen=True, kw_only=True, slots=True)
class GuideReport:
    """Of each fused band in the output's order, and of each group's registration."""

    bands: tuple[dict[str, Any], ...]
    registration: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The same for a user."""
        every = ", ".join(f"{row['band']} {row['r2']:.2f}" for row in self.bands)
        chosen = [row["band"] for row in self.bands if row["source"] == "selection"]
        scene_wide = [row["band"] for row in self.bands if not row["local"]]
        kinds = "a regression on all guides, by weights that vary with the place"
        if scene_wide:
            kinds += f" (of {', '.join(scene_wide)} the same everywhere)"
        if chosen:
            kinds += f"; of {', '.join(chosen)} on the one guide that explains it best"
        first = (
            f"Sharp image of each band: {kinds}; R2 of the scene's weights, on blocks not fitted"
        )
        lines = [f"{first}: {every}"]
        little = [row["band"] for row in self.bands if row["r2"] < _LITTLE]
        if little:
            lines.append(
                f"The guides explain little of {', '.join(little)}: "
                f"{'it stays' if len(little) == 1 else 'they stay'} near the detail of the MS"
            )
        gains = [row["corrected"] for row in self.bands if row["corrected"]]
        if gains:
            lines.append(
                "Correction fitted one level down: takes off "
                f"{min(gains):.0%} to {max(gains):.0%} of the square error on blocks not fitted"
                + ("" if len(gains) == len(self.bands) else f", of {_corrected_names(self.bands)}")
            )
        return tuple(lines)

    def as_data(self) -> dict[str, Any]:
        return {"bands": list(self.bands), "registration": self.registration}

    @property
    def tags(self) -> dict[str, str]:
        return {
            "PANPRIOR_GUIDES": "; ".join(
                f"{row['band']}: {row['source']}{', local' if row['local'] else ''}"
                f"{', corrected' if row['corrected'] else ''}, "
                f"R2 {row['r2']:.4f}"
                for row in self.bands
            ),
            "PANPRIOR_REGISTRATION": self.registration,
        }


def _corrected_names(rows: Sequence[dict[str, Any]]) -> str:
    return ", ".join(row["band"] for row in rows if row["corrected"])


def _share(group: GuidedGroup, band: int) -> float:
    """Of a band's square error one level down, what its correction takes off; 0: it has none."""
    return 0.0 if group.correction is None else round(float(group.correction.share[band]), 3)


def make_report(
    groups: Sequence[GuidedGroup], scene: GuidedScene, names: Sequence[str], *, register: bool
) -> GuideReport:
    """`names`: one a band of the output."""
    rows = []
    for name, (group, band) in zip(names, scene.order, strict=True):
        if group == GUIDES:
            continue
        made = groups[group].scene
        fit = made.fit
        rows.append(
            {
                "band": name,
                "ratio": made.ratio,
                "source": fit.sources[band],
                "local": made.local[band],
                "corrected": _share(groups[group], band),
                "r2": round(float(fit.r2[band]), 4),
                "weights": [round(weight, 6) for weight in fit.weights[band].tolist()],
                "offset": round(float(fit.offset[band]), 3),
            }
        )
    moved = [registration(group.estimated, register=register) for group in groups]
    if len(groups) > 1:
        moved = [
            f"ratio {group.scene.ratio}: {text}" for group, text in zip(groups, moved, strict=True)
        ]
    return GuideReport(bands=tuple(rows), registration="; ".join(moved))

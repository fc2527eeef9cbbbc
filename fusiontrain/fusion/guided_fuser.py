"""Groups of bands, each with its own PAN a band, fused side by side into one output."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace

import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.classical_fuser import ClassicalFuser
from fusiontrain.fusion.fuser import Fuser, no_progress
from fusiontrain.fusion.level_down import estimate_correction
from fusiontrain.fusion.memory_plan import Cost, Plan, make_plan
from fusiontrain.fusion.network_fuser import NetworkFuser
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.pan_of_guides import PanOfGuides, best_explained, with_pan_per_band
from fusiontrain.fusion.sensor_identity import sensor_model_for
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import MULTIPLE_OF, FusedWindow, Workers
from fusiontrain.imaging.level_correction import REACH, LevelCorrection
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.imaging.tiling import Box
from fusiontrain.models.target import Target
from fusiontrain.scenes.guided_scene import GUIDES, GuidedScene
from fusiontrain.scenes.scene import WindowedScene
from shards.sensors import NOMINAL_MS

AS_GUIDES = 0.7  # softness at which little of the guides' own detail is taken away


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedGroup:
    """The bands of one grid, ready to be fused."""

    scene: PanOfGuides  # in the output's frame
    sensor_model: SensorModel  # of that
    estimated: SensorModel  # as estimated, before MS or guides were moved
    source: str  # where that comes from, in words
    correction: LevelCorrection | None = field(default=None, repr=False)  # of a network's bands

    def fuser(self, inner: Fuser) -> Fuser:
        """`inner` with the correction of this group."""
        if isinstance(inner, NetworkFuser) and self.correction is not None:
            return replace(inner, correction=self.correction)
        return inner


def prepare_group(
    scene: WindowedScene,
    options: FusionOptions,
    fuser: Fuser,
    *,
    tags: Mapping[str, str] | None = None,
    name: str = "",
    bands: Sequence[str] = (),
) -> GuidedGroup:
    """Estimate blur and shift of the group, and fit its guides. Raises: as sensor_model_for.

    `tags`, `name`: of the group's files; `bands`: their names, where there are any.

    A network for the target `sensor` gives bands as crisp as the guides where no softness is given,
    and a correction fitted one level down, where the bands are as crisp as their sensor sees them.
    """
    as_guides = options.softness is None and fuser.target == "sensor"
    if as_guides:
        options = replace(options, softness=AS_GUIDES)
    sensor_model, source = sensor_model_for(
        best_explained(scene),
        options,
        blind=fuser.blind,
        target=fuser.target,
        tags=tags,
        name=name,
        beside_guides=bands or ("",) * scene.bands,
    )
    framed, own = in_output_frame(scene, sensor_model)
    made, own = with_pan_per_band(framed, own.mtf, own.shift), replace(own, shift=NO_SHIFT)
    correction = None
    if as_guides and isinstance(fuser, NetworkFuser):
        correction = estimate_correction(
            made,
            fuser,
            own,
            # relative to the guides, which have all of what AS_GUIDES takes away
            mtf=own.mtf * AS_GUIDES ** (1 / scene.ratio**2),
            guide_gain=own.sensor.mtf_pan if own.sensor.ratios else NOMINAL_MS,
            memory=options.memory,
        )
    return GuidedGroup(
        scene=made,
        sensor_model=own,
        estimated=sensor_model,
        source=source,
        correction=correction,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedFuser:
    """A network or method, for a scene whose groups are ready. Satisfies Fuser for that scene."""

    inner: Fuser
    groups: tuple[GuidedGroup, ...]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def device(self) -> torch.device:
        return self.inner.device

    @property
    def blind(self) -> bool:
        return self.inner.blind

    @property
    def target(self) -> Target | None:
        return self.inner.target

    @property
    def cost(self) -> Cost:
        # Guides, and the PAN of each band as made and as moved; images of a correction, which takes
        # as much for each guide however few the bands are.
        more = 16
        if self._corrected:
            fits = [group.scene.fit for group in self.groups]
            more += 32 + 48 * len(fits[0].guide_mean) // sum(len(fit.r2) for fit in fits)
        return replace(self.inner.cost, bytes_per_pixel=self.inner.cost.bytes_per_pixel + more)

    @property
    def _corrected(self) -> bool:
        return any(group.correction is not None for group in self.groups)

    @property
    def tags(self) -> dict[str, str]:
        return self.inner.tags

    def halo(self, ratio: int) -> int:
        return self.inner.halo(ratio) + (REACH * ratio if self._corrected else 0)

    def largest_core(self, ratio: int) -> int:
        return self.inner.largest_core(ratio)

    def workers(self, threads: int) -> int:
        return self.inner.workers(threads)

    def plan(self, scene: GuidedScene, *, memory: float, core: int | None, threads: int) -> Plan:
        """Windows that begin at a pixel of every grid. Raises: SceneError as make_plan."""
        plan = make_plan(scene, self, memory=memory, core=core, threads=threads)
        if len(self.groups) == 1:
            return plan
        unit = math.lcm(scene.ratio, MULTIPLE_OF)
        rounded = max(1, plan.core // unit) * unit
        if isinstance(self.inner, ClassicalFuser) and self.inner.method.window is not None:
            # Such a method solves for each window anew: no grid's is smaller than its own.
            rounded = math.lcm(self.inner.method.window, MULTIPLE_OF) * scene.ratio
        plan = make_plan(scene, self, memory=memory, core=rounded, threads=threads)
        return replace(plan, fixed=True)

    def fuse(
        self,
        scene: WindowedScene,
        sensor_model: SensorModel,  # noqa: ARG002 - each group has its own
        plan: Plan,
        *,
        advance: Callable[[int], None] = no_progress,
    ) -> Generator[FusedWindow, None, None]:
        if not isinstance(scene, GuidedScene):
            raise SceneError("a fuser of guides was given a scene without any")
        plan = replace(plan, shared=Workers.of(plan.workers))
        with ExitStack() as stack:
            runs = [
                stack.enter_context(
                    closing(
                        group.fuser(self.inner).fuse(
                            group.scene,
                            group.sensor_model,
                            replace(plan, halo=self.inner.halo(group.scene.ratio)),
                            advance=advance,
                        )
                    )
                )
                for group in self.groups
            ]
            for windows in zip(*runs, strict=True):
                yield _joined(scene, [group.scene.ratio for group in self.groups], windows)


def _joined(scene: GuidedScene, ratios: list[int], windows: tuple[FusedWindow, ...]) -> FusedWindow:
    """One window of the output, of the same place in every group."""
    places = {_scaled_to(w.core, r, 1) for w, r in zip(windows, ratios, strict=True)}
    assert len(places) == 1, places
    core = windows[0].core
    valid = torch.stack([window.valid for window in windows]).all(0)
    guides = None
    if any(group == GUIDES for group, _ in scene.order):
        guides = scene.group(0).read(core).pan
    fused = [
        (guides if group == GUIDES else windows[group].fused)[band]  # type: ignore[index]
        for group, band in scene.order
    ]
    box = _scaled_to(core, ratios[0], scene.ratio)
    return FusedWindow(core=box, fused=torch.stack(fused), valid=valid)


def _scaled_to(box: Box, ratio: int, other: int) -> Box:
    """A box of pixels of `ratio` guide pixels, in those of `other`, rounded up at its ends."""
    fine = box.scaled(ratio)
    return Box(
        top=fine.top // other,
        left=fine.left // other,
        bottom=-(-fine.bottom // other),
        right=-(-fine.right // other),
    )


def joint_model(groups: tuple[GuidedGroup, ...], scene: GuidedScene) -> SensorModel:
    """Gains of the fused bands in the output's order; each group was moved on its own."""
    first = groups[0].estimated
    fused = [(group, band) for group, band in scene.order if group != GUIDES]
    return replace(
        first,
        mtf=torch.stack([groups[g].estimated.mtf[b] for g, b in fused]),
        softness=torch.stack([groups[g].estimated.softness[b] for g, b in fused]),
        shift=NO_SHIFT,
        band_shifts=None,
        local_shift=None,
    )

"""The report of one fusion, which `fuse` writes as JSON."""

from pathlib import Path
from typing import Any

from fusiontrain.fusion.flip_ensemble import FLIPS
from fusiontrain.fusion.fuse_scene import FusionJob, own_version
from fusiontrain.fusion.quality_sampler import QualitySampler


def fusion_report(
    job: FusionJob, out: Path, sampler: QualitySampler, seconds: dict[str, float]
) -> dict[str, Any]:
    """Plain values; `seconds` of each stage, "fusing" among them."""
    pair, plan, local = job.pair, job.plan, job.sensor_model.local_shift
    sensor_model = {
        "mtf": job.sensor_model.mtf.tolist(),
        "softness": job.sensor_model.softness.tolist(),
        "sensor": job.sensor_model.sensor.name,
    }
    return {
        "version": own_version(),
        "out": str(out),
        "method": job.fuser.name,
        "weights_sha256": job.fuser.tags.get("PANPRIOR_WEIGHTS_SHA256"),
        "target": job.fuser.target,
        "precision": job.fuser.tags.get("PANPRIOR_PRECISION"),
        "flips": FLIPS if job.options.quality == "best" else 1,
        "shape": [pair.bands, *(side * pair.ratio for side in pair.shape)],
        "ratio": pair.ratio,
        "alignment": {
            "note": pair.note,
            "warped": pair.ms_warped is not None,
            "ms_shift": list(pair.ms_shift),
            "register": "auto" if job.options.register else "off",
            "frame": job.sensor_model.frame,
            "pan_shift": list(job.sensor_model.displacement),
            "local_shift": None if local is None else local.as_data(),
            "band_shifts": job.sensor_model.band_displacements,
            "seem_apart": bool(job.agreement.warning),
            "explained_detail": job.agreement.explained,
            "match": (
                None
                if pair.match is None
                else {"rows": pair.match.rows, "columns": pair.match.columns}
            ),
        },
        "guides": None if job.guides is None else job.guides.as_data(),
        "warnings": list(job.warnings),
        "sensor_model": sensor_model,
        "knowledge": sensor_model,  # the key's old name, for one version
        "adaptation": None if job.adaptation is None else job.adaptation.as_data(),
        "windows": plan.windows,
        "window": plan.core,
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "mpix_per_second": plan.megapixels / max(seconds["fusing"], 1e-9),
        "quality": sampler.evaluate(job.sensor_model),
    }

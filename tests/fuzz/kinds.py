"""The kinds of cases: which files are damaged, and the command that is given them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.archive_mutations import mutate_safetensors, mutate_tar, mutate_zip
from tests.fuzz.byte_mutations import mutate as mutate_bytes
from tests.fuzz.seeds import Files, building_argv, training_argv
from tests.fuzz.text_mutations import mutate_json, mutate_text, mutate_toml
from tests.fuzz.tiff_mutations import mutate_tiff

Seeds = dict[str, Files]


@dataclass(kw_only=True)
class Case:
    """A command and what it is given. Folders: `given` holds the files, `out` is empty before."""

    given: Path
    out: Path
    names: tuple[str, ...]  # what a file may name to no avail: canaries, hosts, devices
    program: str = "fusiontrain"
    argv: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)  # was done to the files
    makes: tuple[
        str, ...
    ] = ()  # names below `out` that must be there, and whole, after exit code 0
    reads_named: bool = False  # Python code may look at the first bytes of what is named
    changes_given: bool = False  # it goes on with what was given
    damaging: bool = True  # else the files are as they should be

    def put(self, files: Files, damage: str, rng: Random) -> None:
        """Write the files, the one called `damage` mutated by what its name says."""
        for name, data in files.items():
            path = self.given / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == damage and self.damaging:
                data, what = mutate_named(rng, name, data, self.names)  # noqa: PLW2901
                self.what.append(f"{name}: {what}")
            path.write_bytes(data)


def mutate_named(rng: Random, name: str, data: bytes, names: tuple[str, ...]) -> tuple[bytes, str]:
    """Damage by what a file of that name holds."""
    ending = name.lower().rpartition(".")[2]
    if data[:4] == b"II*\0":
        return mutate_tiff(rng, data, names)
    if ending in ("vrt", "xml", "til", "imd", "tfw", "wld", "txt", "hdr", "csv", "yaml", "idx"):
        return mutate_text(rng, data, names)
    if ending == "toml":
        return mutate_toml(rng, data)
    by_ending = {
        "json": mutate_json,
        "safetensors": mutate_safetensors,
        "tar": mutate_tar,
        "zip": mutate_zip,
    }
    return by_ending.get(ending, mutate_bytes)(rng, data)


FRUGAL = ("--memory", "0.5", "--threads", "1")
_FUSE_FLAGS = (
    [], [], [], ["--assume-aligned"], ["--assume-aligned"], ["--match"],
    ["-ot", "uint8", "--scale", "2%,98%"], ["-ot", "float32"], ["-b", "1"], ["--nodata", "0"],
    ["--nodata", "none"], ["--window", "64"], ["--sensor", "GF2"], ["--json", "OUT/report.json"],
    ["--frame", "ms"],
)  # fmt: skip
_METHODS = (*["exp"] * 6, "gsa", "brovey", "glp-hpm", "bdsd", "glp-fs-soft", "net")
_PLANTED = (".msk", ".ovr", ".aux.xml", ".hdr", ".rpb", ".wld")


def fuse(rng: Random, case: Case, seeds: Seeds, group: str, ending: str = ".tif") -> None:
    """`fuse` of a pair of which a file, or two, is damaged, perhaps with a sidecar planted."""
    files = seeds[group]
    case.put(files, rng.choice(sorted(files)), rng)
    if case.damaging and rng.random() < 0.15:
        _plant(rng, case, ending)
    ms = sorted(n for n in files if n.startswith("ms") and n.endswith(ending))
    how = ["--method", rng.choice(_METHODS), *FRUGAL, "--quiet"]
    how += ["-of", "GTiff"] if rng.random() < 0.93 else []  # COG takes five times as long
    how += ["--register", "off"] if rng.random() < 0.7 else []
    how += ["--assume-aligned"] if group in ("rpcs", "points") else []
    for flags in rng.sample(_FUSE_FLAGS, 2):
        how += [flag.replace("OUT", str(case.out)) for flag in flags]
    case.makes = ("fused.tif", *(["report.json"] if "--json" in how else []))
    case.argv = ["fuse", str(case.given / f"pan{ending}"), *(str(case.given / n) for n in ms)]
    case.argv += [str(case.out / "fused.tif"), *how]


def _plant(rng: Random, case: Case, ending: str) -> None:
    stem = rng.choice(("pan", "ms"))
    name = stem + rng.choice((ending, "")) + rng.choice(_PLANTED)
    path = case.given / name
    if path.exists():
        return
    if rng.random() < 0.5:
        target = rng.choice(("../canary/words.txt", "../canary/raster.tif", "../canary/named.vrt"))
        path.symlink_to(target)
        case.what.append(f"{name} is a link to {target}")
    else:
        other = rng.choice(case.names)
        text = f'<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{other}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'  # noqa: E501
        path.write_text(text)
        case.what.append(f"{name} is a VRT of {other}")


def fuse_vrt(rng: Random, case: Case, seeds: Seeds, group: str = "vrt") -> None:
    case.reads_named = True
    files = seeds[group]
    damaged = rng.choice([n for n in files if n.endswith(".vrt")] * 3 + list(files))
    case.put(files, damaged, rng)
    ms = "ms.vrt" if "ms.vrt" in files else "ms.tif"
    case.argv = [
        "fuse",
        str(case.given / "pan.vrt"),
        str(case.given / ms),
        str(case.out / "fused.tif"),
    ]
    case.argv += ["--method", "exp", "--quiet", "-of", "GTiff", *FRUGAL]
    case.argv += ["--register", "off"]
    case.makes = ("fused.tif",)


def benchmark(rng: Random, case: Case, seeds: Seeds) -> None:
    """`benchmark` of a folder with a damaged pair and its facts."""
    files = {f"a_{name}": data for name, data in seeds["plain"].items()}
    files["a.json"] = json.dumps(
        {"sensor": "GF2", "bits": 11, "ratio": 4, "bands": ["b", "g", "r", "n"]}
    ).encode()
    case.put(files, rng.choice(sorted(files)), rng)
    case.argv = ["benchmark", str(case.given), "--out", str(case.out / "b"), "--methods", "EXP,GSA"]
    case.argv += ["--protocol", "full"]
    case.makes = ("b/results.json",)


def weights(rng: Random, case: Case, seeds: Seeds) -> None:
    case.put(seeds["plain"], "", rng)
    case.put(seeds["weights"], "w.safetensors", rng)
    if rng.random() < 0.3:
        (case.given / "w.safetensors").rename(case.given / "model.safetensors")
        case.argv = ["publish", str(case.given), str(case.out / "p")]
        case.makes = ("p/model.safetensors",)
        return
    case.argv = [
        "fuse",
        str(case.given / "pan.tif"),
        str(case.given / "ms.tif"),
        str(case.out / "fused.tif"),
    ]
    case.argv += [
        "--weights",
        str(case.given / "w.safetensors"),
        "-of",
        "GTiff",
        "--quiet",
        *FRUGAL,
    ]
    case.makes = ("fused.tif",)


def build_files(rng: Random, case: Case, seeds: Seeds, ending: str) -> None:
    """A finished build of which a tar, an index or the manifest is damaged.

    Of most the manifest is made to fit, so that checksums do not hide what comes after them.
    """
    files = seeds["shards"]
    case.put(files, rng.choice([n for n in files if n.endswith(ending)]), rng)
    if not ending.endswith(".json") and rng.random() < 0.8:
        _fit_manifest(case.given)
    match rng.randrange(6):
        case 0 | 1:
            case.program, case.argv = "simgen", ["verify", str(case.given)]
        case 2:
            case.program, case.argv = (
                "simgen",
                ["look", str(case.given), "--out", str(case.out / "look.png")],
            )
            case.makes = ("look.png",)
        case 3:
            case.argv = ["export", str(case.given), str(case.out / "e")]
            case.makes = ("e/pan.tif", "e/ms.tif", "e/gt.tif")
        case 4:
            case.program, case.argv = (
                "shards",
                ["verify", str(case.given), "--jobs", "1", "--quiet"],
            )
        case _:
            case.program = "shards"
            case.argv = [
                "push",
                str(case.given),
                (case.out / "pushed").as_uri(),
                "--jobs",
                "1",
                "--quiet",
            ]
            case.makes = ("pushed/manifest.json",)


def _fit_manifest(folder: Path) -> None:
    data = json.loads((folder / "manifest.json").read_bytes())
    for row in data["shards"]:
        tar = (folder / row["name"]).read_bytes()
        row["bytes"], row["sha256"] = len(tar), hashlib.sha256(tar).hexdigest()
        index = (folder / row["name"]).with_suffix(".idx").read_bytes()
        row["index_sha256"] = hashlib.sha256(index).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(data))


def parts(rng: Random, case: Case, seeds: Seeds) -> None:
    """`merge` of an array's parts."""
    files = seeds["parts"]
    case.put(files, rng.choice([n for n in files if n.endswith(".json")]), rng)
    case.program, case.argv, case.changes_given = "simgen", ["merge", str(case.given)], True


def build_state(rng: Random, case: Case, seeds: Seeds) -> None:
    """A build that goes on from a damaged state."""
    files = seeds["state"]
    case.put(files, rng.choice([n for n in files if n.startswith("out/")]), rng)
    case.program, case.changes_given = "simgen", True
    case.argv = building_argv(case.given / "photos", case.given / "out")


def source(rng: Random, case: Case, seeds: Seeds, group: str, dataset: str) -> None:
    """A build from damaged images, tars or zips."""
    files = seeds[group]
    case.put(files, rng.choice(sorted(files)), rng)
    case.program, case.argv = "simgen", building_argv(case.given, case.out / "b", dataset)
    if dataset == "skyscript" and rng.random() < 0.3:
        case.argv += ["--filter", "list==list.csv", "--filter", "similarity>0.1"]
    case.makes = ("b/manifest.json",)


def scenes(rng: Random, case: Case, seeds: Seeds) -> None:
    """A build from a damaged real scene."""
    files = {f"a_{name}": data for name, data in seeds["plain"].items()}
    case.put(files, rng.choice(sorted(files)), rng)
    case.program = "simgen"
    case.argv = [
        "build",
        "--dataset",
        "scene",
        "--source",
        str(case.given),
        "--out",
        str(case.out / "b"),
    ]
    case.argv += ["--bands", "4", "--tile", "16", "--quiet"]
    case.makes = ("b/manifest.json",)


def training_state(rng: Random, case: Case, seeds: Seeds) -> None:
    """A training that goes on from a damaged state, table or lock."""
    files = seeds["run"]
    case.put(files, rng.choice([n for n in files if n.startswith("run/")]), rng)
    case.argv, case.changes_given = training_argv(case.given), True


def sensor(rng: Random, case: Case, seeds: Seeds) -> None:
    case.put(seeds["plain"], "", rng)
    case.put(seeds["sensor"], "own.toml", rng)
    path = str(case.given / "own.toml")
    if rng.random() < 0.4:
        case.program = "simgen"
        case.argv = [
            "build",
            "--dataset",
            "folder",
            "--source",
            str(case.given),
            "--out",
            str(case.out / "b"),
        ]
        case.argv += ["--like-sensor", path, "--explain"]
        return
    case.argv = [
        "fuse",
        str(case.given / "pan.tif"),
        str(case.given / "ms.tif"),
        str(case.out / "fused.tif"),
    ]
    case.argv += [
        "--sensor",
        path,
        "--method",
        rng.choice(("exp", "glp", "net")),
        "-of",
        "GTiff",
        "--quiet",
    ]
    case.makes = ("fused.tif",)


def config(rng: Random, case: Case, seeds: Seeds) -> None:
    name = rng.choice(sorted(seeds["config"]))
    case.put(seeds["config"], name, rng)
    case.argv = ["pretrain", "--config", str(case.given / name), "--print-config"]


Make = Callable[[Random, Case, Seeds], None]


def _fusing(group: str, ending: str = ".tif") -> Make:
    return lambda rng, case, seeds: fuse(rng, case, seeds, group, ending)


def _built(ending: str) -> Make:
    return lambda rng, case, seeds: build_files(rng, case, seeds, ending)


def _from(group: str, dataset: str) -> Make:
    return lambda rng, case, seeds: source(rng, case, seeds, group, dataset)


# kind -> (how often, of 100, and how a case is made)
KINDS: dict[str, tuple[int, Make]] = {
    "pair": (11, _fusing("plain")),
    "masked pair": (6, _fusing("masked")),
    "float pair": (4, _fusing("float")),
    "12-bit pair": (3, _fusing("bits")),
    "pair with alpha": (3, _fusing("alpha")),
    "sidecars": (12, _fusing("sidecars")),
    "RPC text": (3, _fusing("rpcs")),
    "control points": (2, _fusing("points")),
    "stacked bands": (2, _fusing("stack")),
    "VRT": (7, fuse_vrt),
    "raw VRT": (2, lambda rng, case, seeds: fuse_vrt(rng, case, seeds, "raw")),
    "TIL": (4, _fusing("til", ".TIL")),
    "JP2": (2, _fusing("jp2", ".jp2")),
    "PNG": (1, _fusing("png", ".png")),
    "ERDAS": (1, _fusing("img", ".img")),
    "NITF": (2, _fusing("ntf", ".ntf")),
    "ENVI": (1, _fusing("envi", ".dat")),
    "benchmark": (1, benchmark),
    "weights": (8, weights),
    "shard tar": (4, _built(".tar")),
    "index": (3, _built(".idx")),
    "manifest": (4, _built("manifest.json")),
    "parts": (2, parts),
    "build state": (2, build_state),
    "training state": (1, training_state),
    "sensor file": (3, sensor),
    "config file": (2, config),
    "zips": (1, _from("zips", "skyscript")),
    "image tars": (1, _from("tars", "tar")),
    "images": (1, _from("photos", "folder")),
    "scenes": (1, scenes),
}


def kind_of(number: int) -> str:
    """The same for a number in each run, and in any range near the stated shares."""
    every = [kind for kind, (share, _) in KINDS.items() for _ in range(share)]
    return every[number * 37 % len(every)]

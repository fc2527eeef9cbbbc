"""Copy builds of shards from and to URLs, and check them: pull, push, verify, list."""

import argparse
import logging
import sys
from pathlib import Path

from shards.catalogue import CATALOG, published_builds
from shards.command_line import PlainFlags, ShowVersion
from shards.console import print_error, print_result, run_command, set_up_logging
from shards.errors import PanpriorError
from shards.manifest import Manifest
from shards.stores import shown
from shards.transfer import pull, push, verify

logger = logging.getLogger("shards")


def main(argv: list[str] | None = None) -> int:
    def command() -> int:
        args = _parser().parse_args(argv)
        set_up_logging("shards", quiet=getattr(args, "quiet", False))
        return int(args.run(args))

    try:
        return run_command("shards", command)
    except KeyboardInterrupt:
        print_error("shards", "stopped; the same command goes on")
        return 130


def _parser() -> PlainFlags:
    parser = PlainFlags(prog="python -m shards", description=__doc__)
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fetch = commands.add_parser("pull", help="copy a build here; run again to go on")
    fetch.set_defaults(run=_pull)
    fetch.add_argument("url", help="file, http(s), s3, hf, ...; or a name of the catalogue")
    fetch.add_argument("folder", type=Path)
    fetch.add_argument(
        "--digest", metavar="SHA256", help="refuse any manifest but the one of this sha256"
    )

    send = commands.add_parser("push", help="copy a build to a URL; run again to go on")
    send.set_defaults(run=_push)
    send.add_argument("folder", type=Path)
    send.add_argument("url")

    check = commands.add_parser("verify", help="compare every file with the manifest")
    check.set_defaults(run=_verify)
    check.add_argument("url", help="URL or folder")

    for command in (fetch, send, check):
        command.add_argument("--jobs", type=int, default=4, metavar="N", help="files at a time")
        command.add_argument("--quiet", action="store_true", help="print nothing but errors")

    names = commands.add_parser("list", help="builds that are published")
    names.set_defaults(run=_list)

    for command in (fetch, send, check, names):
        command.add_argument("--version", action=ShowVersion)
    return parser


def _pull(args: argparse.Namespace) -> int:
    url, digest = args.url, args.digest
    if "://" not in url:
        known = published_builds()
        if url not in known:
            # What was given is not repeated: a key may stand in it.
            there = Path(url).exists()
            here = f"; of a folder give its URL, {Path(url).resolve().as_uri()}" if there else ""
            names = ", ".join(known) or "none"
            raise PanpriorError(f"no URL and no published build; published: {names}{here}")
        url, digest = known[url].url, digest or known[url].manifest
    manifest = pull(url, args.folder, digest=digest, jobs=args.jobs, report=logger.info)
    return _done(args, manifest, f"pulled from {shown(url)} into {args.folder}")


def _push(args: argparse.Namespace) -> int:
    manifest = push(args.folder, args.url, jobs=args.jobs, report=logger.info)
    return _done(args, manifest, f"pushed to {shown(args.url)}")


def _verify(args: argparse.Namespace) -> int:
    manifest = verify(args.url, jobs=args.jobs, report=logger.info)
    return _done(args, manifest, f"as listed at {shown(args.url)}")


def _list(_: argparse.Namespace) -> int:
    known = published_builds()
    for build in known.values():
        print_result(f"{build.name}  {build.url}  {build.manifest[:12]}  {build.licence}")
    if not known:
        print_result(f"no build is published yet; entries lie in {CATALOG.name}/ (see its README)")
    return 0


def _done(args: argparse.Namespace, manifest: Manifest, what: str) -> int:
    if not args.quiet:
        print_result(f"shards: {manifest.samples} samples in {len(manifest.shards)} shards {what}")
        print_result(f"shards: manifest {manifest.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

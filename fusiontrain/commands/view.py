"""Look at PAN, MS and what was fused of them, in a browser on this machine.

Opens a page at an address of chance that only this machine answers; Ctrl-C ends it. Files are
read by windows as they are looked at: COGs and files with overviews show at once at any scale.
Needs the extra [view]. Exit codes: 0 ended; 2 bad input, with one line.
"""

import argparse
import webbrowser

from fusiontrain.errors import SceneError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pan")
    parser.add_argument("ms")
    parser.add_argument("out", nargs="*", help="what was fused, any number")
    parser.add_argument("--port", type=int, default=0, help="default: one that is free, by chance")
    parser.add_argument("--open", action="store_true", help="in the browser of this desktop")


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.port < 2**16:
        raise SceneError(f"--port is 0 to 65535; got {args.port}")
    # Here, not above: --help works without rio-tiler, and its absence is said in one line.
    from fusiontrain.viewer.layers import open_layers
    from fusiontrain.viewer.server import Server

    with open_layers(args.pan, [args.ms, *args.out]) as (grid, layers, says):
        for line in says:
            print(f"fusiontrain: {line}", flush=True)
        with Server(grid, layers, says, args.port) as server:
            print(f"fusiontrain: {server.address} (Ctrl-C ends it)", flush=True)
            if args.open:
                webbrowser.open(server.address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0

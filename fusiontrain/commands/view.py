"""Show PAN, MS and fused files side by side in a browser on this machine.

Serves a page at a random address to this machine only, until Ctrl-C. Files are read by windows
as they are shown: COGs and files with overviews appear at once at any scale.
Needs the extra [view]. Exit codes: 0 ended; 2 bad input, with one line.
"""

import webbrowser
from argparse import Namespace

from fusiontrain.errors import SceneError
from shards.command_line import PlainFlags
from shards.console import print_result


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain view", description=__doc__)
    parser.add_argument("pan", help="PAN file")
    parser.add_argument("ms", help="MS file")
    parser.add_argument("out", nargs="*", default=[], help="fused files, any number")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port; 0: any free one")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def run(args: Namespace) -> int:
    if not 0 <= args.port < 2**16:
        raise SceneError(f"`port` is 0 to 65535; got {args.port}")
    # Here, not above: --help works without rio-tiler.
    from fusiontrain.viewer.layers import open_layers
    from fusiontrain.viewer.server import Server

    with open_layers(args.pan, [args.ms, *args.out]) as (grid, layers, says):
        for line in says:
            print_result(f"fusiontrain: {line}")
        with Server(grid, layers, says, args.port) as server:
            print_result(f"fusiontrain: {server.address} (Ctrl-C ends it)")
            if args.open:
                webbrowser.open(server.address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print_result("")
    return 0

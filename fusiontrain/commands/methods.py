"""List the classical methods, as tables name them.

Case, hyphens and MTF- are free: GSA, gsa, glp-fs. Each but EXP is also run "soft", on a PAN
blurred as the MS is (--method gsa-soft), and in a benchmark "registered", on a PAN moved to where
the MS lies (benchmark --registered).
"""

from argparse import Namespace

from fusiontrain.commands.listing import listing_parser, print_listing
from shards.command_line import PlainFlags

_KINDS = {
    "none": "interpolation",
    "CS": "component substitution",
    "MRA": "multi-resolution analysis",
    "model": "optimisation",
}


def make_parser() -> PlainFlags:
    return listing_parser("methods", __doc__)


def run(args: Namespace) -> int:
    from fusiontrain.classical import METHODS, PLAIN
    from fusiontrain.classical.method import SOFT
    from fusiontrain.evaluation.contenders import REGISTERED

    facts = [
        {
            "name": name,
            "kind": _KINDS[method.family],
            "soft": f"{name}{SOFT}" if f"{name}{SOFT}" in METHODS else None,
            "registered": f"{name}{REGISTERED}",
            "paper": method.paper,
        }
        for name, method in PLAIN.items()
    ]
    rows = [{key: value or "-" for key, value in fact.items()} for fact in facts]
    print_listing(rows, facts, as_json=args.json)
    return 0

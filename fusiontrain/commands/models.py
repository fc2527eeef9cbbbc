"""List the networks: family, parameters, bands, cost, weights that ship, paper.

parameters and cost are at the default sizes; cost in floating-point operations a PAN pixel. bands:
any, or the default of a network that is built for one count. weights: names for --weights.
"""

from argparse import Namespace

from fusiontrain.commands.listing import listing_parser, print_listing
from shards.command_line import PlainFlags


def make_parser() -> PlainFlags:
    return listing_parser("models", __doc__)


def run(args: Namespace) -> int:
    from fusiontrain.models.checkpoints import read_info
    from fusiontrain.models.pretrained_weights import NAMES, find_weights
    from fusiontrain.models.registry import MODELS

    shipped = {name: read_info(find_weights(name)).model for name in NAMES}
    facts = [
        {
            "name": model.name,
            "family": model.family,
            "parameters": model.params,
            "bands": None if model.any_band else model.sizes["bands"],
            "flops": model.flops,
            "reach": model.reach,
            "sizes": model.sizes,
            "published": model.published,
            "weights": [name for name, of in shipped.items() if of == model.name],
            "paper": model.paper,
        }
        for model in MODELS.values()
    ]
    rows = [
        {
            "name": model.name,
            "family": model.family,
            "parameters": f"{model.params:,}",
            "bands": "any" if model.any_band else str(model.sizes["bands"]),
            "cost": f"{model.flops:,}",
            "weights": ", ".join(name for name, of in shipped.items() if of == model.name) or "-",
            "paper": model.paper,
        }
        for model in MODELS.values()
    ]
    print_listing(rows, facts, as_json=args.json)
    return 0

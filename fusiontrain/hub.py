"""Networks by the conventions of the Hugging Face Hub. The only huggingface_hub import.

from fusiontrain.hub import Pansharpener
model = Pansharpener.from_pretrained("runs/mine-published")  # or owner/name on the Hub
model.push_to_hub("owner/name")
"""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download
from torch import Tensor, nn

from fusiontrain.evaluation.model_card import WEIGHTS, write_package
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint


class Pansharpener(nn.Module, ModelHubMixin):
    """A trained network, and what its checkpoint says of it. forward(PanBatch) -> (B, C, H, W)."""

    def __init__(self, net: nn.Module, info: CheckpointInfo) -> None:
        super().__init__()
        self.net, self.info = net, info

    def forward(self, batch: PanBatch) -> Tensor:
        fused: Tensor = self.net(batch)
        return fused

    def _save_pretrained(self, save_directory: Path) -> None:
        write_package(Path(save_directory), self.net, self.info, "")

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_: Any,
    ) -> "Pansharpener":
        """Raises: CheckpointError for what is no checkpoint of ours; hub errors as they are."""
        path = Path(model_id) / WEIGHTS
        if not Path(model_id).is_dir():
            path = Path(
                hf_hub_download(
                    repo_id=model_id,
                    filename=WEIGHTS,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
            )
        return cls(*load_checkpoint(path))

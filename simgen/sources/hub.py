"""Where the files of a data set on the Hugging Face Hub lie. The only import of `datasets`."""

from typing import Any

from simgen.errors import SourceError


def hub_urls(repository: str, split: str, **options: Any) -> list[str]:
    """Where the parquet files of a split lie, revision included, by Hugging Face `datasets`.

    Raises: SourceError saying how to get access.
    """
    import datasets

    try:
        builder = datasets.load_dataset_builder(repository, **options)
        files = (builder.config.data_files or {}).get(split, [])
    except (OSError, ValueError, RuntimeError) as error:  # gated, offline, no such revision
        reason = str(error).strip().partition("\n")[0]
        raise SourceError(f"cannot stream {repository}: {reason}\n{_login(repository)}") from error
    if not files:
        raise SourceError(f"{repository} has no split {split!r}")
    return [str(file) for file in files]


def _login(repository: str) -> str:
    return (
        f"  do: accept the terms at https://huggingface.co/datasets/{repository}, then "
        "`huggingface-cli login` or set HF_TOKEN; or give `root` a copy on disk"
    )

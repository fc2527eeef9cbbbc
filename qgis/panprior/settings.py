"""The setting that names the executable."""

from processing.core.ProcessingConfig import ProcessingConfig

from .command import find_executable

EXECUTABLE = "PANPRIOR_FUSIONTRAIN"


def executable():
    """Path of fusiontrain. Raises: CommandError saying where to set it."""
    return find_executable(ProcessingConfig.getSetting(EXECUTABLE) or "")

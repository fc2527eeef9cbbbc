"""Pure numpy: the clear twin of every DALI operator the pipeline uses."""

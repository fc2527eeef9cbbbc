"""Everything that only a GPU can prove, step by step: python -m bench.gpu."""

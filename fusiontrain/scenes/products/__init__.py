"""Products as agencies deliver them: which files are sharp, which are not, and what DN mean."""

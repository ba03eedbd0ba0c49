"""The command line: one file a command; argument parsing and exit codes, nothing else."""

"""Each executor opens a byte stream to a python3 on the target, and does nothing else."""

"""What travels to the target: standard library only, Python 3.9 and later."""

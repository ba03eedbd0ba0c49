"""The kinds: one file each, named as the kind; files that start with an underscore are shared parts."""

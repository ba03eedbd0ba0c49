"""Prints what PersonaPlex requires, without its pin of torch: `requirements.py PYPROJECT TORCH`."""

import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    wanted = tomllib.load(file)["project"]["dependencies"]
print(*(one for one in wanted if not one.startswith("torch")), f"torch=={sys.argv[2]}", "accelerate", sep="\n")

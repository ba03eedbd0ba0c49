"""Events turned into what people and machines read."""

"""The same state in the words of other tools."""

"""What goes wrong with PersonaPlex, as data: texts that programs say, checks of a host, what they mean, what helps."""

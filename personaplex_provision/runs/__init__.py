"""One host's conversation with its agent, many hosts side by side, and the history."""

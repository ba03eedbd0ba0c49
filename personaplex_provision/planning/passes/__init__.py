"""The steps by which a host's graph is built; each is `apply(graph)` and does one thing."""

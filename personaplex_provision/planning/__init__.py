"""From tasks of one host to a plan: validation, graph, order, plan file."""

"""What the user writes: YAML with positions, inventory, playbooks, roles, variables, templates, vault."""

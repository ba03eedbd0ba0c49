"""What the engine costs, measured beside what the same thing costs without it."""

"""How fast: the figures the project holds itself to, measured by the commands a user runs."""

"""Mutants: defects that shipped in real drivers, seeded one at a time into a correct one."""

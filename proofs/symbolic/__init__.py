"""Symbolic execution of LLVM IR: what C was compiled to, read and run on terms. Knows no ring."""

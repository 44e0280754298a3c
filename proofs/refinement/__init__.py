"""What compares code with the model: the Python reference and the compiled C, operation by operation."""

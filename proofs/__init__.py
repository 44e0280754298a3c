"""Why it holds: theorems, mutants, and the engine that discharges them."""

"""What runs a list of operations against a queue and a device, and records what came of each."""

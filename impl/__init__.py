"""What runs: the Python reference, the C implementation, the devices and the driver ABI."""

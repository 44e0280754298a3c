"""Ways to start drivers that are installed here: DPDK, Linux and OVMF."""

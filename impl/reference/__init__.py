"""The Linux 3.11 virtqueue in Python over real bytes, function by function."""

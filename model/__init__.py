"""What holds: the Z3 model of the transmit ring, and nothing else. It knows no files and no terminals."""

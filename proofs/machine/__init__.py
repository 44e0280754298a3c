"""Machine code, lifted and run on bit-vectors: the shared library as the processor sees it."""

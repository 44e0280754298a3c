"""The virtqueue step by step: each access to memory and each round of a loop is a transition of its own."""

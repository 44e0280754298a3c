"""Honest devices: one in Python, one in C; they complete, batch, delay, suppress and interrupt."""

"""The journey of a frame: where frames come from, how they are sent, and what can be seen on their way."""

"""``python -m ringproof`` is the command ``ringproof``."""

from .entry import main

main()

"""``python -m ringproof`` is the command ``ringproof``."""

from .cli import main

main()

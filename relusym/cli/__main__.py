"""`python -m relusym.cli`."""

from relusym.cli import main

main()

"""`python -m eventsnn`: the command line."""

from eventsnn.cli import main

main()

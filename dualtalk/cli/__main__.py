"""`python -m dualtalk.cli`."""

from dualtalk.cli import main

main(prog_name="dualtalk")

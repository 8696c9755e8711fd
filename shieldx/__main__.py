"""`python -m shieldx` is the `shieldx` command."""

from shieldx.cli.main import main

if __name__ == "__main__":
    main()

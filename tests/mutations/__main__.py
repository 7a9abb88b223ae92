"""Write the table in docs/mutations.md: python -m tests.mutations."""

from tests.mutations.document import write

if __name__ == "__main__":
    write()

"""Write the table anew: python -m tests.unit.mutations."""

from tests.unit.mutations.document import write

if __name__ == "__main__":
    write()

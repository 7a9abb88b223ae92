"""Write the table anew: python -m tests.unit.verify.mutations."""

from tests.unit.verify.mutations.document import write

if __name__ == "__main__":
    write()

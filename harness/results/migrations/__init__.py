"""How the tables came to be as they are: alembic runs these in their order."""

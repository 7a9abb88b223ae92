"""Alembic's entry: it migrates the connection that the harness has opened."""

from __future__ import annotations

from alembic import context

from harness.results.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column
)
with context.begin_transaction():
    context.run_migrations()

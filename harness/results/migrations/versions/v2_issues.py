"""Links from signatures to issues; batches that are never pruned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    op.create_table(
        "issues",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "signature_id",
            sa.Integer,
            sa.ForeignKey("signatures.id"),
            nullable=False,
            unique=True,
        ),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("until", sa.DateTime),
    )
    with op.batch_alter_table("batches") as batches:
        batches.add_column(
            sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false())
        )

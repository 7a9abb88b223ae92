"""What bisecting new failures has come to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.create_table(
        "bisections",
        sa.Column(
            "batch_id",
            sa.Integer,
            sa.ForeignKey("batches.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("name", sa.String(400), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("commits", sa.JSON, nullable=False),
        sa.Column("text", sa.String, nullable=False),
    )

"""Batches and their runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("series", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("ended", sa.DateTime),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("harness", sa.String(40), nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("asked", sa.JSON, nullable=False),
        sa.UniqueConstraint("series", "number"),
    )
    op.create_table(
        "inputs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "signatures",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(400), nullable=False, unique=True),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "batch_id", sa.Integer, sa.ForeignKey("batches.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("result", sa.String(20), nullable=False),
        sa.Column("phase", sa.String(20)),
        sa.Column("headline", sa.String, nullable=False),
        sa.Column("ended", sa.DateTime, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("evidence", sa.String),
        sa.Column("replay", sa.String, nullable=False),
        sa.Column("inputs_id", sa.Integer, sa.ForeignKey("inputs.id")),
        sa.Column("signature_id", sa.Integer, sa.ForeignKey("signatures.id")),
        sa.UniqueConstraint("batch_id", "name", "attempt"),
    )
    op.create_index("ix_runs_name", "runs", ["name"])
    op.create_index("ix_runs_batch_id", "runs", ["batch_id"])
    op.create_index("ix_runs_signature_id", "runs", ["signature_id"])
    op.create_table(
        "checks",
        sa.Column(
            "run_id", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("compared", sa.Integer, nullable=False),
        sa.Column("findings", sa.Integer, nullable=False),
    )
    op.create_table(
        "metrics",
        sa.Column(
            "run_id", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )

"""The tables. Every change of them needs a new file in ``migrations/versions``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Of all tables. Times are UTC, without a zone in the database."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON, datetime: DateTime}  # noqa: RUF012


class Batch(Base):
    """Many runs that belong together: one night of a series. ``number`` counts from 1.

    ``asked`` are the names of the scenarios that it was to run.
    """

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("series", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    series: Mapped[str] = mapped_column(String(100))
    number: Mapped[int]
    started: Mapped[datetime]
    ended: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(20))  # a State
    host: Mapped[str] = mapped_column(String(255))
    harness: Mapped[str] = mapped_column(String(40))
    evidence: Mapped[str]
    asked: Mapped[list[str]]
    pinned: Mapped[bool] = mapped_column(default=False)
    runs: Mapped[list[Run]] = relationship(back_populates="batch", cascade="all, delete-orphan")
    bisections: Mapped[list[BisectionRow]] = relationship(cascade="all, delete-orphan")


class Inputs(Base):
    """What went into runs: versions and digests, each content once."""

    __tablename__ = "inputs"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    content: Mapped[dict[str, Any]]


class Signature(Base):
    """What was wrong first: see ``harness.report.signature``."""

    __tablename__ = "signatures"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(400), unique=True)


class Run(Base):
    """One run of one scenario; ``attempt`` counts from 1 within a batch.

    ``result`` is that of a verdict, or USAGE or SKIPPED. ``seconds`` is what it took.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("batch_id", "name", "attempt"),
        Index("ix_runs_name", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(400))
    file: Mapped[str]
    attempt: Mapped[int]
    result: Mapped[str] = mapped_column(String(20))
    phase: Mapped[str | None] = mapped_column(String(20))
    headline: Mapped[str]
    ended: Mapped[datetime]
    seconds: Mapped[float]
    evidence: Mapped[str | None]
    replay: Mapped[str]
    inputs_id: Mapped[int | None] = mapped_column(ForeignKey("inputs.id"))
    signature_id: Mapped[int | None] = mapped_column(ForeignKey("signatures.id"), index=True)
    batch: Mapped[Batch] = relationship(back_populates="runs")
    inputs: Mapped[Inputs | None] = relationship()
    signature: Mapped[Signature | None] = relationship()
    checks: Mapped[list[Check]] = relationship(cascade="all, delete-orphan")
    metrics: Mapped[list[Metric]] = relationship(cascade="all, delete-orphan")


class Check(Base):
    """One check of a run: how many things it ``compared``, and its ``findings``."""

    __tablename__ = "checks"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))  # passed, failed, skipped
    compared: Mapped[int]
    findings: Mapped[int]


class Metric(Base):
    """One number of a run, such as ``seconds.dump``."""

    __tablename__ = "metrics"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[float]


class Issue(Base):
    """Where a failure with this signature is known; until a day, if that is told."""

    __tablename__ = "issues"

    id: Mapped[int] = mapped_column(primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signatures.id"), unique=True)
    url: Mapped[str]
    until: Mapped[datetime | None]
    signature: Mapped[Signature] = relationship()


class BisectionRow(Base):
    """What bisecting a new failure of the scenario ``name`` has come to.

    ``commits`` are the first bad commit, or all that may be it.
    """

    __tablename__ = "bisections"

    batch_id: Mapped[int] = mapped_column(
        ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))  # a BisectionState
    commits: Mapped[list[str]]
    text: Mapped[str]

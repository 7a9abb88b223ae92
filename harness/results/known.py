"""Signatures of failures, and the issues in which they are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness.errors import UsageError
from harness.results.tables import Issue, Run, Signature


@dataclass(frozen=True)
class Known:
    """A signature, how many ``runs`` have had it, and where it is known, if it is."""

    text: str
    runs: int
    url: str | None
    until: datetime | None


def signatures(session: Session) -> list[Known]:
    """All signatures, those that came most often first."""
    rows = session.execute(
        select(Signature.text, func.count(Run.id), Issue.url, Issue.until)
        .outerjoin(Run, Run.signature_id == Signature.id)
        .outerjoin(Issue, Issue.signature_id == Signature.id)
        .group_by(Signature.id, Signature.text, Issue.url, Issue.until)
        .order_by(func.count(Run.id).desc(), Signature.text)
    )
    return [Known(*row) for row in rows]


def link(session: Session, beginning: str, url: str, until: datetime | None) -> str:
    """Say where the signature is known; returns its text. Raises as :func:`_one`."""
    signature = _one(session, beginning)
    issue = session.scalar(select(Issue).where(Issue.signature_id == signature.id))
    if issue is None:
        issue = Issue(signature_id=signature.id)
        session.add(issue)
    issue.url, issue.until = url, until
    return signature.text


def unlink(session: Session, beginning: str) -> str:
    """Take a link back; returns the signature. Raises as :func:`_one`, and if there is no link."""
    signature = _one(session, beginning)
    issue = session.scalar(select(Issue).where(Issue.signature_id == signature.id))
    if issue is None:
        raise UsageError(f"{signature.text} is not known anywhere")
    session.delete(issue)
    return signature.text


def _one(session: Session, beginning: str) -> Signature:
    """The only signature that begins so, or is so; raises UsageError if there is none or more."""
    found = [
        signature
        for signature in session.scalars(select(Signature).order_by(Signature.text))
        if signature.text.startswith(beginning)
    ]
    exact = [signature for signature in found if signature.text == beginning]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UsageError(
            f"no failure had the signature {beginning}", hint="zharness issue list shows them"
        )
    raise UsageError(f"{len(found)} signatures begin with {beginning}: {found[0].text}, ...")

"""The table of row counts."""

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class TableCount(Base):
    """The number of rows of a table. It is stored because the cost of counting grows with the table."""

    __tablename__ = 'table_counts'

    table_name: Mapped[str] = mapped_column(String(32), primary_key=True)
    row_count: Mapped[int] = mapped_column(server_default='0')

    __table_args__ = (CheckConstraint('row_count >= 0', name='row_count'),)

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from api.database import Base


class Total(Base):
    """How many rows a whole table has, because counting them costs more with every one."""

    __tablename__ = 'totals'

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(server_default='0')

    __table_args__ = (CheckConstraint('value >= 0', name='value'),)

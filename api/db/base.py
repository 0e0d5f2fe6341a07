"""The declarative base."""

from datetime import datetime

from sqlalchemy import (
    MetaData,
)
from sqlalchemy.orm import DeclarativeBase, registry

from api.db.types import BigId, UTCDateTime


class Base(DeclarativeBase):
    registry = registry(
        type_annotation_map={int: BigId, datetime: UTCDateTime},
        metadata=MetaData(
            naming_convention={
                'pk': 'pk_%(table_name)s',
                'fk': 'fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s',
                'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
                'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
                'ck': 'ck_%(table_name)s_%(constraint_name)s',
            }
        ),
    )

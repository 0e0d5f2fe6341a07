"""The engine and a session for each request: asyncpg on PostgreSQL, aiosqlite on SQLite."""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

URL = make_url(os.environ['DATABASE_URL'])


def set_pragmas(connection: Any, record: object) -> None:
    connection.execute('PRAGMA synchronous=NORMAL')


if URL.get_backend_name() == 'sqlite':
    engine = create_async_engine(URL.set(drivername='sqlite+aiosqlite'))
    event.listen(engine.sync_engine, 'connect', set_pragmas)
else:
    settings = {'application_name': os.environ['APPLICATION_NAME'], 'timezone': 'UTC'}
    engine = create_async_engine(URL.set(drivername='postgresql+asyncpg'), connect_args={'server_settings': settings})

new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]

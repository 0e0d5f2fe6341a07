"""The engine and a session for each request: asyncpg on PostgreSQL, aiosqlite on SQLite."""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

URL = make_url(os.environ['DATABASE_URL'])
# As many as are used concurrently, so that connections are not reopened.
CONNECTIONS = 10


def set_pragmas(connection: Any, record: object) -> None:
    connection.execute('PRAGMA synchronous=NORMAL')


if URL.get_backend_name() == 'sqlite':
    engine = create_async_engine(URL.set(drivername='sqlite+aiosqlite'), pool_size=CONNECTIONS)
    event.listen(engine.sync_engine, 'connect', set_pragmas)
else:
    settings = {'application_name': os.environ['APPLICATION_NAME'], 'timezone': 'UTC'}
    arguments = {'server_settings': settings}
    engine = create_async_engine(
        URL.set(drivername='postgresql+asyncpg'), pool_size=CONNECTIONS, connect_args=arguments
    )

new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]

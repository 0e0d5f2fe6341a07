"""Rename tables and columns to jobs, idempotency_records, table_counts and users.last_write_at.

Stop the previous version of the application first: it uses the old names.
"""

import sqlalchemy as sa
from alembic import op

revision = 'e4b7a91c06d2'
down_revision = 'c71e5d0b94a3'
branch_labels = None
depends_on = None
requires_stop = True

big = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
moment = sa.DateTime(timezone=True)

# Old names to new names.
TABLES = {'outbox': 'jobs', 'kept_answers': 'idempotency_records', 'totals': 'table_counts'}
COLUMNS = {
    'outbox': {'topic': 'type'},
    'kept_answers': {'sealed': 'encrypted_response'},
    'totals': {'name': 'table_name', 'value': 'row_count'},
}
CONSTRAINTS = {
    'outbox': {'pk_outbox': 'pk_jobs', 'fk_outbox_user_id_users': 'fk_jobs_user_id_users'},
    'kept_answers': {
        'pk_kept_answers': 'pk_idempotency_records',
        'fk_kept_answers_user_id_users': 'fk_idempotency_records_user_id_users',
        'uq_kept_answers_digest': 'uq_idempotency_records_digest',
    },
    'totals': {'pk_totals': 'pk_table_counts', 'ck_totals_value': 'ck_table_counts_row_count'},
}
INDEXES = {
    'outbox': {'ix_outbox_user_id': ('user_id', 'ix_jobs_user_id'), 'ix_outbox_due_at': ('due_at', 'ix_jobs_due_at')},
    'kept_answers': {
        'ix_kept_answers_user_id': ('user_id', 'ix_idempotency_records_user_id'),
        'ix_kept_answers_created_at': ('created_at', 'ix_idempotency_records_created_at'),
    },
    'totals': {},
}
WITH_ID = ('outbox', 'kept_answers')


def upgrade() -> None:
    op.execute('ALTER TABLE users RENAME COLUMN wrote_at TO last_write_at')
    if op.get_bind().dialect.name == 'sqlite':
        for old in TABLES:
            copy(old, old, TABLES[old])
    else:
        for old, new in TABLES.items():
            rename(old, new, COLUMNS[old], CONSTRAINTS[old], {name: to for name, (_, to) in INDEXES[old].items()})
    op.execute("UPDATE jobs SET type = 'delete_account' WHERE type = 'erase_account'")


def downgrade() -> None:
    op.execute("UPDATE jobs SET type = 'erase_account' WHERE type = 'delete_account'")
    if op.get_bind().dialect.name == 'sqlite':
        for old, new in TABLES.items():
            copy(old, new, old)
    else:
        for old, new in TABLES.items():
            indexes = {to: name for name, (_, to) in INDEXES[old].items()}
            rename(new, old, reverse(COLUMNS[old]), reverse(CONSTRAINTS[old]), indexes)
    op.execute('ALTER TABLE users RENAME COLUMN last_write_at TO wrote_at')


def reverse(names: dict[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}


def rename(source: str, target: str, columns: dict, constraints: dict, indexes: dict) -> None:
    """Rename a table and everything that is named after it (PostgreSQL)."""
    op.rename_table(source, target)
    for old, new in columns.items():
        op.alter_column(target, old, new_column_name=new)
    for old, new in constraints.items():
        op.execute(f'ALTER TABLE {target} RENAME CONSTRAINT {old} TO {new}')
    for old, new in indexes.items():
        op.execute(f'ALTER INDEX {old} RENAME TO {new}')
    if source in WITH_ID or target in WITH_ID:
        op.execute(f'ALTER SEQUENCE {source}_id_seq RENAME TO {target}_id_seq')


def copy(table: str, source: str, target: str) -> None:
    """Create the table under its other name, copy its rows and its last assigned id, and drop the source (SQLite)."""
    create(table, target)
    names = COLUMN_ORDER[table]
    new = table != target
    there = [COLUMNS[table].get(name, name) if new else name for name in names]
    here = [name if new else COLUMNS[table].get(name, name) for name in names]
    op.execute(f'INSERT INTO {target} ({", ".join(there)}) SELECT {", ".join(here)} FROM {source}')
    if table in WITH_ID:
        op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{target}'")
        op.execute(
            f"INSERT INTO sqlite_sequence (name, seq) SELECT '{target}', seq FROM sqlite_sequence WHERE name = '{source}'"
        )
    op.drop_table(source)
    for name, (column, to) in INDEXES[table].items():
        op.create_index(to if new else name, target, [column])


COLUMN_ORDER = {
    'outbox': ('id', 'topic', 'user_id', 'recipient', 'created_at', 'due_at', 'attempts', 'error'),
    'kept_answers': ('id', 'user_id', 'digest', 'fingerprint', 'sealed', 'created_at'),
    'totals': ('name', 'value'),
}


def create(table: str, target: str) -> None:
    new = table != target
    column = {name: to if new else name for name, to in COLUMNS[table].items()}
    constraint = {name: to if new else name for name, to in CONSTRAINTS[table].items()}
    if table == 'outbox':
        op.create_table(
            target,
            sa.Column('id', big, nullable=False),
            sa.Column(column['topic'], sa.String(32), nullable=False),
            sa.Column('user_id', big),
            sa.Column('recipient', sa.String(120)),
            sa.Column('created_at', moment, nullable=False),
            sa.Column('due_at', moment),
            sa.Column('attempts', big, server_default='0', nullable=False),
            sa.Column('error', sa.String(255)),
            sa.PrimaryKeyConstraint('id', name=constraint['pk_outbox']),
            sa.ForeignKeyConstraint(
                ['user_id'], ['users.id'], constraint['fk_outbox_user_id_users'], ondelete='CASCADE'
            ),
            sqlite_autoincrement=True,
        )
    elif table == 'kept_answers':
        op.create_table(
            target,
            sa.Column('id', big, nullable=False),
            sa.Column('user_id', big),
            sa.Column('digest', sa.LargeBinary(32), nullable=False),
            sa.Column('fingerprint', sa.LargeBinary(32), nullable=False),
            sa.Column(column['sealed'], sa.LargeBinary(), nullable=False),
            sa.Column('created_at', moment, nullable=False),
            sa.PrimaryKeyConstraint('id', name=constraint['pk_kept_answers']),
            sa.ForeignKeyConstraint(
                ['user_id'], ['users.id'], constraint['fk_kept_answers_user_id_users'], ondelete='CASCADE'
            ),
            sa.UniqueConstraint('digest', name=constraint['uq_kept_answers_digest']),
            sqlite_autoincrement=True,
        )
    else:
        op.create_table(
            target,
            sa.Column(column['name'], sa.String(32), nullable=False),
            sa.Column(column['value'], big, server_default='0', nullable=False),
            sa.PrimaryKeyConstraint(column['name'], name=constraint['pk_totals']),
            sa.CheckConstraint(f'{column["value"]} >= 0', name=op.f(constraint['ck_totals_value'])),
        )

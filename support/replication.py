"""A temporary PostgreSQL server with a replica."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.databases import skip_unless_required
from support.postgresql_cluster import Cluster


@contextmanager
def replicated_clusters() -> Iterator[tuple[Cluster, Cluster]]:
    """Yield a running primary and its replica. Skip the test if PostgreSQL is not installed."""
    with tempfile.TemporaryDirectory(prefix='microblog') as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        try:
            primary = create_cluster(folder / 'primary')
        except (OSError, KeyError) as error:
            skip_unless_required('postgresql', f'no server can be started: {error}')
        try:
            replica = create_cluster(folder / 'replica', primary)
            try:
                yield primary, replica
            finally:
                replica.kill()
        finally:
            primary.kill()


def create_cluster(folder: Path, primary: Cluster | None = None) -> Cluster:
    folder.mkdir()
    return Cluster(folder, primary)

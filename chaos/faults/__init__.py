"""All faults and their expected effects."""

from chaos.faults import backup, clients, clock, disk, locks, migrations, postgresql, replicas, web
from chaos.findings import Fault

BOTH = ('sqlite', 'postgresql')
SQLITE, POSTGRESQL = BOTH[:1], BOTH[1:]

FAULTS = (
    Fault(
        '`kill -9` of a web process',
        web.kill,
        BOTH,
        'no acknowledged post is lost, the other process continues, the killed one is replaced',
    ),
    Fault('reload (SIGHUP)', web.reload, BOTH, 'no request fails'),
    Fault('stop (SIGTERM)', web.stop, BOTH, 'open requests are completed, then connections are refused'),
    Fault(
        'PostgreSQL killed for 4 s',
        postgresql.killed,
        POSTGRESQL,
        '503 with Retry-After, nothing else; back within 2 s',
    ),
    Fault('PostgreSQL frozen for 20 s', postgresql.frozen, POSTGRESQL, '503 in bounded time, `/livez` at once'),
    Fault('every connection waits for a lock', locks.exhausted, BOTH, '503 in bounded time, then normal service'),
    Fault('disk full', disk.full, SQLITE, 'writes get 503, reads succeed, then normal service'),
    Fault('four upgrades at once, empty', migrations.upgrades_of_nothing, BOTH, 'all succeed'),
    Fault('four upgrades at once, old', migrations.upgrades_of_old_rows, BOTH, 'all succeed, no row is lost'),
    Fault('newest migration under load', migrations.newest, BOTH, 'no request to the previous version fails'),
    Fault('50 slow headers, 50 slow bodies', clients.slow, BOTH, 'other clients are served normally'),
    Fault('clock jumps', clock.jumps, BOTH, 'a token expires by the clock, nothing else changes'),
    Fault('backup under load', backup.restored, BOTH, 'it contains all posts acknowledged before it'),
    Fault(
        'replica killed for 5 s', replicas.replica_killed, POSTGRESQL, 'no request fails; it is read again afterwards'
    ),
    Fault('replica frozen for 10 s', replicas.replica_frozen, POSTGRESQL, 'no request fails, in bounded time'),
    Fault('replica lags by 10 s', replicas.replica_late, POSTGRESQL, 'writers read their own writes'),
)

"""Every fault, and what is expected of it."""

from chaos.faults import backup, clients, clock, disk, locks, migrations, postgresql, replicas, web
from chaos.findings import Fault

BOTH = ('sqlite', 'postgresql')
SQLITE, POSTGRESQL = BOTH[:1], BOTH[1:]

FAULTS = (
    Fault(
        '`kill -9` of a web process', web.kill, BOTH, 'nothing acknowledged is lost, the others go on, it is replaced'
    ),
    Fault('reload (SIGHUP)', web.reload, BOTH, 'no request fails'),
    Fault('stop (SIGTERM)', web.stop, BOTH, 'what is under way is answered, then connections are refused'),
    Fault(
        'PostgreSQL killed for 4 s',
        postgresql.killed,
        POSTGRESQL,
        '503 with Retry-After, nothing else; back within 2 s',
    ),
    Fault('PostgreSQL frozen for 20 s', postgresql.frozen, POSTGRESQL, '503 in bounded time, `/livez` at once'),
    Fault('every connection waits for a lock', locks.exhausted, BOTH, '503 in bounded time, then as before'),
    Fault('disk full', disk.full, SQLITE, 'writes 503, reads go on, then as before'),
    Fault('four upgrades at once, empty', migrations.upgrades_of_nothing, BOTH, 'all succeed'),
    Fault('four upgrades at once, old', migrations.upgrades_of_old_rows, BOTH, 'all succeed, no row is lost'),
    Fault('newest migration under load', migrations.newest, BOTH, 'no request of the code before it fails'),
    Fault('50 slow headers, 50 slow bodies', clients.slow, BOTH, 'others are served as ever'),
    Fault('clock jumps', clock.jumps, BOTH, 'a token ends by the clock, nothing else changes'),
    Fault('backup under load', backup.restored, BOTH, 'what was acknowledged before it is in it'),
    Fault('replica killed for 5 s', replicas.replica_killed, POSTGRESQL, 'no request fails; it is read again'),
    Fault('replica frozen for 10 s', replicas.replica_frozen, POSTGRESQL, 'no request fails, in bounded time'),
    Fault('replica 10 s late', replicas.replica_late, POSTGRESQL, 'whoever writes finds what they wrote'),
)

"""Compare WSGI servers: gunicorn (gthread) against granian.

Run it from the directory that holds the application, with a Python
that has both servers installed (Linux only, it reads /proc):

    python benchmarks/wsgi_servers.py --app main:app --path /api/users/1 \\
        --header "Authorization: Bearer TOKEN"

    python benchmarks/wsgi_servers.py --only cpu,restart     # some parts only

Every server is started here, on 127.0.0.1 with its own free port, and
killed at the end. A whole run takes five to six minutes. The parts:

    cpu      CPU time per request, requests per second, memory
    slow     latency for others while 50 clients send very slowly
    unread   a body that the application refuses to read
    restart  SIGHUP and SIGTERM under load
    failure  an application that cannot start
    deps     what each distribution requires

Configurations are measured alternately, round after round, and compared
within a round, so that load on the machine affects all of them.
"""

import argparse
import contextlib
import importlib.metadata
import os
import pathlib
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HOST = '127.0.0.1'
TICK = 1 / os.sysconf('SC_CLK_TCK')
PAGE = os.sysconf('SC_PAGE_SIZE')
PARTS = ('cpu', 'slow', 'unread', 'restart', 'failure', 'deps')
REFERENCE = 'gunicorn gthread 4'


# --- the servers -----------------------------------------------------------


def gunicorn(threads, kind='gthread'):
    return [
        'gunicorn',
        '--bind',
        f'{HOST}:{{port}}',
        '--workers',
        '{workers}',
        '--worker-class',
        kind,
        '--threads',
        str(threads),
        '--no-control-socket',
        '--log-level',
        'warning',
        '{app}',
    ]


def granian(threads, *more):
    return [
        'granian',
        '--interface',
        'wsgi',
        '--http',
        '1',
        '--host',
        HOST,
        '--port',
        '{port}',
        '--workers',
        '{workers}',
        '--blocking-threads',
        str(threads),
        '--respawn-interval',
        '1.0',
        '--log-level',
        'warning',
        *more,
        '{app}',
    ]


SERVERS = {
    'gunicorn sync': gunicorn(1, 'sync'),
    'gunicorn gthread 1': gunicorn(1),
    'gunicorn gthread 4': gunicorn(4),
    'gunicorn gthread 8': gunicorn(8),
    'granian 1': granian(1),
    'granian 4': granian(4),
    'granian 8': granian(8),
    'granian 64': granian(64),
    'granian 4 st': granian(4, '--runtime-mode', 'st'),
    'granian 4 mt2': granian(4, '--runtime-mode', 'mt', '--runtime-threads', '2'),
}


def free_port():
    with socket.create_server((HOST, 0)) as probe:
        return probe.getsockname()[1]


class Server:
    """A running server with its worker processes."""

    def __init__(self, name, options, workers=1):
        self.port = free_port()
        words = {'port': self.port, 'app': options.app, 'workers': workers}
        arguments = [word.format(**words) for word in SERVERS[name]]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, '-m', *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def wait_until_up(self, request, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                return Client(self.port).exchange(request)
            time.sleep(0.02)
        self.log.seek(0)
        raise SystemExit(f'not up: {self.process.args}\n' + self.log.read().decode(errors='replace'))

    def pids(self):
        """Return the ids of the process and its descendants."""
        parents = {}
        for entry in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                fields = stat_fields(entry.name)
                parents.setdefault(int(fields[1]), []).append(entry.name)
        found, new = [], [str(self.process.pid)]
        while new:
            found += new
            new = [kid for pid in new for kid in parents.get(int(pid), [])]
        return found

    def cpu(self):
        """Return the user and system CPU seconds so far."""
        return TICK * sum(int(number) for pid in self.pids() for number in stat_fields(pid)[11:13])

    def memory(self):
        """Return the resident memory in MB (shared pages count for each process)."""
        return PAGE / 1e6 * sum(int(stat_fields(pid)[21]) for pid in self.pids())

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def stat_fields(pid):
    """Return the fields of /proc/PID/stat after the command name."""
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    return text.rpartition(')')[2].split()


@contextlib.contextmanager
def running(name, options, workers=1):
    server = Server(name, options, workers)
    try:
        status = server.wait_until_up(options.get)
        if status >= 400:
            raise SystemExit(f'GET {options.path} answers {status}')
        yield server
    finally:
        server.kill()


# --- the client ------------------------------------------------------------


def request_bytes(method, path, headers=(), body=b''):
    lines = [f'{method} {path} HTTP/1.1', f'Host: {HOST}', *headers]
    if body or method in ('POST', 'PUT', 'PATCH'):
        lines += ['Content-Type: application/json', f'Content-Length: {len(body)}']
    return '\r\n'.join(lines + ['', '']).encode() + body


class NoAnswer(OSError):
    """The server closed the connection before the end of the response."""


class Client:
    """A keep-alive connection, reopened if it was closed."""

    def __init__(self, port, timeout=5):
        self.address, self.timeout = (HOST, port), timeout
        self.socket, self.used = None, 0

    def exchange(self, request):
        """Send a request, return the status code of its response."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, self.timeout)
            self.used = 0
        self.socket.sendall(request)
        head, body = self.receive_head()
        status = int(head.split(None, 2)[1])
        missing = content_length(head) - len(body)
        while missing > 0:
            missing -= len(self.receive())
        if missing < 0:
            raise ValueError('more bytes than one response')
        self.used += 1
        if b'connection: close' in head:
            self.close()
        return status

    def receive_head(self):
        data = b''
        while b'\r\n\r\n' not in data:
            data += self.receive()
        head, _, body = data.partition(b'\r\n\r\n')
        if not head.startswith(b'HTTP/1.1 '):
            raise ValueError('not the start of a response')
        return head.lower(), body

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise NoAnswer('closed')
        return data

    def closed_by_server(self):
        """Return whether the connection was closed while idle."""
        if self.socket is None:
            return False
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def content_length(head):
    for line in head.split(b'\r\n'):
        if line.startswith(b'content-length:'):
            return int(line[15:])
    raise ValueError('a response without Content-Length')


def in_threads(function, count):
    """Run function() in that many threads and wait for all."""
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- cpu: CPU time per request ---------------------------------------------


def load(server, request, count, seconds, connections=8):
    """Send at most this many requests; return (sent, seconds taken)."""
    left, sent = iter(range(count)), []
    start = time.monotonic()

    def work():
        client, done = Client(server.port), 0
        for _ in left:
            client.exchange(request)
            done += 1
            if time.monotonic() - start > seconds:
                break
        client.close()
        sent.append(done)

    in_threads(work, connections)
    return sum(sent), time.monotonic() - start


def measure_cpu(name, options):
    """Return (CPU ms per request, requests per second, MB)."""
    with running(name, options) as server:
        load(server, options.get, 300, 1)
        before = server.cpu()
        sent, seconds = load(server, options.get, options.requests, 4)
        used = server.cpu() - before
        return used / sent * 1000, sent / seconds, server.memory()


def part_cpu(options):
    names, rounds = list(SERVERS), []
    for number in range(options.pairs):
        turn = names if number % 2 == 0 else names[::-1]
        rounds.append({name: measure_cpu(name, options) for name in turn})
        progress(f'round {number + 1} of {options.pairs}')
    print(f'{"":20}  ms CPU/request  ratio to {REFERENCE!r}       req/s    MB')
    print(f'{"":20}          median    min / median / max')
    for name in names:
        cpu, speed, memory = map(statistics.median, zip(*(row[name] for row in rounds)))
        ratios = [row[name][0] / row[REFERENCE][0] for row in rounds]
        print(
            f'{name:20} {cpu:15.3f}    {min(ratios):.2f} / '
            f'{statistics.median(ratios):.2f} / {max(ratios):.2f}'
            f'            {speed:6.0f} {memory:5.0f}'
        )


# --- slow: clients that send very slowly ----------------------------------


def dribble(server, first, stop, count=50):
    """Hold connections open that send one byte per second."""
    sockets = []
    for _ in range(count):
        sockets.append(socket.create_connection((HOST, server.port), 5))
        sockets[-1].sendall(first)
    while not stop.wait(1):
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.sendall(b'a')
    for connection in sockets:
        connection.close()


def probe(server, request, seconds, timeout=3):
    """Return the latencies of requests on new connections in ms, and the number of failures."""
    latencies, failures = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client, start = Client(server.port, timeout), time.monotonic()
        try:
            client.exchange(request)
            latencies.append((time.monotonic() - start) * 1000)
        except OSError:
            failures += 1
        client.close()
        time.sleep(0.01)
    return latencies, failures


def part_slow(options):
    in_head = request_bytes('GET', options.path, ['X-Slow: '])[:-4]
    in_body = request_bytes(options.body_method, options.body_path, options.header, b'a' * 1000)[:-1000]
    for name in ('gunicorn gthread 4', 'gunicorn gthread 8', 'granian 4', 'granian 8', 'granian 64'):
        for kind, first in (('headers', in_head), ('body', in_body)):
            with running(name, options) as server:
                stop = threading.Event()
                arguments = (server, first, stop)
                crowd = threading.Thread(target=dribble, args=arguments)
                crowd.start()
                time.sleep(1)
                latencies, failures = probe(server, options.get, 5)
                stop.set()
                crowd.join()
            print(f'{name:20} slow {kind:8} {percentiles(latencies)}, {failures} without a response in 3 s')


def percentiles(values):
    if len(values) < 2:
        return f'{len(values)} served'
    cuts = statistics.quantiles(values, n=100)
    return f'{len(values)} served, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms'


# --- unread: a body that is not read --------------------------------------


def refuse_then_get(client, refused, expected, options, counts):
    """Send a body that is refused, then a GET on the same connection."""
    step = 'refused request'
    try:
        status = client.exchange(refused)
        if not 400 <= status < 500:
            return count(counts, f'wrong answer {status}')
        said = 'kept alive' if client.socket else 'announced close'
        step = 'GET after it'
        if client.exchange(options.get) != expected:
            return count(counts, 'wrong response to the GET')
        count(counts, f'good ({said})')
    except (OSError, ValueError) as error:
        count(counts, f'{step}: {type(error).__name__}')
        client.close()


def count(counts, key):
    counts[key] = counts.get(key, 0) + 1


def part_unread(options, rounds=200):
    refused = request_bytes(options.refuse_method, options.refuse_path, (), b'x' * 1_000_000)
    for name in ('gunicorn gthread 4', 'granian 4'):
        counts = {}
        with running(name, options) as server:
            client = Client(server.port)
            expected = client.exchange(options.get)
            end = time.monotonic() + 20
            for _ in range(rounds):
                if time.monotonic() < end:
                    refuse_then_get(client, refused, expected, options, counts)
            client.close()
        print(f'{name:20} {counts}')


# --- restart: signals under load -------------------------------------------


def keep_asking(server, request, stop, counts, fresh):
    """Send requests until stopped and count the outcomes."""
    client = Client(server.port)
    while not stop.is_set():
        if client.closed_by_server():
            client.close()
            count(counts, 'closed while idle (no failure)')
        reused = client.socket is not None and client.used > 0
        try:
            status = client.exchange(request)
            count(counts, 'answered' if status < 500 else f'status {status}')
        except (OSError, ValueError) as error:
            kind = type(error).__name__
            count(counts, f'{kind} on a {"reused" if reused else "new"} connection')
            client.close()
            time.sleep(0.01)
        if fresh:
            client.close()


def under_load(server, options, action):
    """Call action() under load from 8 keep-alive and 16 new-connection clients."""
    stop, counts = threading.Event(), [{}, {}]
    threads = [
        threading.Thread(target=keep_asking, args=(server, options.get, stop, counts[fresh], fresh))
        for fresh in [False] * 8 + [True] * 16
    ]
    for thread in threads:
        thread.start()
    try:
        action()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return counts


def restart_twice(server):
    for _ in range(2):
        time.sleep(1)
        server.send(signal.SIGHUP)
        time.sleep(3)


def stop_amid_slow(server, options, results):
    """Send SIGTERM while slow requests are in progress."""

    def ask():
        try:
            results.append(Client(server.port).exchange(options.slow))
        except OSError as error:
            results.append(type(error).__name__)

    waiting = [threading.Thread(target=ask) for _ in range(2)]
    time.sleep(0.5)
    for thread in waiting if options.slow else ():
        thread.start()
    time.sleep(0.3)
    server.send(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.process.wait(10)
    for thread in waiting if options.slow else ():
        thread.join()


def part_restart(options):
    for name in ('gunicorn gthread 4', 'granian 4'):
        for workers in (1, 2):
            with running(name, options, workers) as server:
                show(
                    f'{name}, {workers} workers, SIGHUP twice',
                    under_load(server, options, lambda: restart_twice(server)),
                )
        for _ in range(3):
            results = []
            with running(name, options) as server:
                counts = under_load(server, options, lambda: stop_amid_slow(server, options, results))
                code = server.process.poll()
            show(f'{name}, SIGTERM (exit code {code}, slow requests in flight {results})', counts)


def show(title, counts):
    print(title)
    for kind, numbers in zip(('keep-alive', 'new'), counts):
        words = [f'{number} {key}' for key, number in sorted(numbers.items())]
        print(f'    {kind:10} {"; ".join(words)}')


# --- failure: an application that cannot start -----------------------------

BROKEN = "raise SystemExit('SECRET_KEY is missing')\n"
CHECKS = 'import broken\n'
EXECUTE = "import os, sys; sys.path.insert(0, ''); import broken; os.execvp(sys.argv[1], sys.argv[1:])"


def failing_commands(port):
    """Return commands that start an application that raises on import."""

    def fill(command):
        words = {'port': port, 'app': 'broken:app', 'workers': 2}
        return [sys.executable, '-m', *(w.format(**words) for w in command)]

    return {
        'gunicorn': fill(gunicorn(4)),
        'gunicorn --preload': fill(gunicorn(4)) + ['--preload'],
        'gunicorn, check in its conf': fill(gunicorn(4)) + ['-c', 'check.py'],
        'granian': fill(granian(4)),
        'granian, respawn': fill(granian(4, '--respawn-failed-workers')),
        'check first, then exec': [sys.executable, '-c', EXECUTE, *fill(granian(4))],
    }


def part_failure(_):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, 'broken.py').write_text(BROKEN)
        pathlib.Path(folder, 'check.py').write_text(CHECKS)
        for name, command in failing_commands(free_port()).items():
            start = time.monotonic()
            process = subprocess.Popen(
                command, cwd=folder, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            code, output = wait_for_end(process)
            lines = output.strip().splitlines()
            print(
                f'{name:28} exit code {code}, '
                f'{time.monotonic() - start:.1f} s, {len(lines)} lines, '
                f'last: {lines[-1] if lines else ""!r}'
            )


def wait_for_end(process, seconds=8):
    """Return (exit code or None, output) of a process that should fail."""
    try:
        return process.wait(seconds), process.stdout.read()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None, process.stdout.read()


# --- deps ------------------------------------------------------------------


def part_deps(_):
    for name in ('gunicorn', 'granian'):
        about = importlib.metadata.metadata(name)
        needs = [need for need in about.get_all('Requires-Dist') or [] if 'extra ==' not in need]
        size = sum(entry.size or 0 for entry in importlib.metadata.files(name) or [])
        print(f'{name} {about["Version"]}: requires {needs or "nothing"}, {size / 1e6:.1f} MB installed')


# --- the command line ------------------------------------------------------


def progress(text):
    print(f'    {text}', file=sys.stderr, flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--app', default='main:app', help='MODULE:NAME')
    add('--path', default='/livez', help='the measured GET')
    add('--header', action='append', default=[], help="e.g. 'Name: value'")
    add('--body-method', default='POST')
    add('--body-path', default='/api/users', help='reads a JSON body')
    add('--refuse-method', default='PUT')
    add('--refuse-path', default='/api/users/1', help='refuses without reading the body')
    add('--slow-path', help='a GET that takes about a second')
    add('--pairs', type=int, default=5, help='rounds for the CPU part')
    add('--requests', type=int, default=2500, help='per measurement')
    add('--only', default=','.join(PARTS), help='parts, with commas')
    return parser.parse_args()


def main():
    options = parse_options()
    options.get = request_bytes('GET', options.path, options.header)
    options.slow = options.slow_path and request_bytes('GET', options.slow_path, options.header)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in options.only.split(','):
        print(f'\n== {name}', flush=True)
        globals()[f'part_{name}'](options)


if __name__ == '__main__':
    main()

"""How the identity servers written in Python are served.

Standard output: `ready URL` once it listens, then `METHOD PATH STATUS` for each request, before its answer leaves.
"""

import asyncio
import socket
import sys

from hypercorn.asyncio import serve as run
from hypercorn.config import Config


def say(line):
    # In one piece: requests are answered by several threads.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def with_access_log(application):
    """The same WSGI application."""

    def logged(environ, start_response):
        def start(status, headers, exc_info=None):
            say(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {status.split()[0]}")
            return start_response(status, headers, exc_info)

        return application(environ, start)

    return logged


def serve(create_application):
    """Serves the WSGI application that is made for a URL, on a free port of this machine, in this one process."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application = create_application(url)

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    # Longer than a proxy keeps an idle connection: the default of 5 s closes them while the proxy reuses them.
    config.keep_alive_timeout = 120
    say(f"ready {url}")
    asyncio.run(run(with_access_log(application), config, mode="wsgi"))

"""moto as a server in this process, shared by all tests that need it."""

import contextlib
import logging
import urllib.request

from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def running():
    """The server's address on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # A thread of this process always ends with the program. With port 0 the system chooses a port that no other process
    # can take in between.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        yield endpoint
    finally:
        # The server shares its state with every other use of moto in this process.
        enforce_iam(endpoint, after="inf")
        reset(endpoint)
        server.stop()


def enforce_iam(endpoint, after=0):
    """From now on every request is checked. The number is how many more may pass unchecked."""
    post(f"{endpoint}/moto-api/reset-auth", str(after))


def reset(endpoint):
    """Resets all state of the server."""
    post(f"{endpoint}/moto-api/reset", "")


def post(url, body):
    # With urllib's default content type the server would parse the body as a form.
    request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()

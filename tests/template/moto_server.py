"""moto as a server of this process, which every test takes that wants one."""

import contextlib
import logging
import urllib.request

from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def running():
    """Gives the server's address, on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # In a thread of this process rather than as a process of its own: it ends with the program, whatever happens, and
    # port 0 lets the system choose a port that nobody else can take in between.
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
    """From here on every request is checked; the number is how many more may pass unchecked."""
    post(f"{endpoint}/moto-api/reset-auth", str(after))


def reset(endpoint):
    """Forgets everything that the server holds."""
    post(f"{endpoint}/moto-api/reset", "")


def post(url, body):
    # With urllib's default content type the server would take the body for a form and see none.
    request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()

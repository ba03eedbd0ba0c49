"""pyinfra with Nagle's algorithm off, which paramiko leaves on: the same program, one socket option more."""

import socket

from pyinfra_cli.main import main  # isort: skip  (first: it gives the standard library gevent's sockets)

import paramiko

_init = paramiko.Transport.__init__


def _without_delay(self, sock, *args, **kwargs):
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _init(self, sock, *args, **kwargs)


paramiko.Transport.__init__ = _without_delay
main()

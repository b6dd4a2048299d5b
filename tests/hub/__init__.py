"""A Hub on loopback that serves the unmodified clients, in LFS mode and in Xet mode.

`state` is what it holds, `server` the HTTP and the faults to order, `api`, `commits`, `lfs`, `xet`
and `cdn` answer the requests, `formats` reads Xet's binary formats, `client` starts a client that
knows only this Hub. What it answers follows what the clients' sources read; how far the production
Hub differs was not tried.
"""

from tests.hub.server import running
from tests.hub.state import READ_TOKEN, TOKEN, Fault, Hub, Repo

__all__ = ["READ_TOKEN", "TOKEN", "Fault", "Hub", "Repo", "running"]

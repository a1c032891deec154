"""The TLS server: one port for good, while certificate and trusted authorities change."""

import socket
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from search_operator.metrics_api.callers import Trust
from search_operator.metrics_api.certificate import ServingCertificate

_BACKLOG = 128
_STOPS_WITHIN_SECONDS = 2.0


@dataclass
class Listener:
    """Serves `app` on `port`, on IPv6 and IPv4 where both are there; 0 takes any free port."""

    app: web.Application
    port: int
    _runner: web.AppRunner | None = None
    _socket: socket.socket | None = None
    _site: web.SockSite | None = None
    _current: tuple[ServingCertificate, Trust] | None = None
    _context: ssl.SSLContext | None = None

    async def show(self, certificate: ServingCertificate, trust: Trust) -> bool:
        """Serve with these from now on; whether that changed anything. OSError when the port is taken.

        The listening socket stays, so that no connection is refused meanwhile; those that stand end with their next
        answer and so come back under the new terms.
        """
        if self._current == (certificate, trust):
            return False
        context = server_context(certificate, trust)
        if self._runner is None or self._socket is None:
            self._socket = _listening(self.port)
            self._runner = web.AppRunner(
                self.app, access_log=None, shutdown_timeout=_STOPS_WITHIN_SECONDS, handle_signals=False
            )
            self.app.on_response_prepare.append(self._end_older)
            await self._runner.setup()
        before, self._context = self._site, context
        self._site = web.SockSite(self._runner, self._socket.dup(), ssl_context=context, backlog=_BACKLOG)
        await self._site.start()
        if before is not None:
            await before.stop()
        self._current = (certificate, trust)
        return True

    @property
    def showing(self) -> ServingCertificate | None:
        """The certificate that is served; None while nothing is."""
        return self._current[0] if self._current else None

    @property
    def bound_port(self) -> int:
        """The port that is listened on."""
        assert self._socket is not None, "nothing listens yet"
        return int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Stop serving, after what is being answered."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._socket is not None:
            self._socket.close()
        self._runner = self._socket = self._site = self._current = self._context = None

    async def _end_older(self, request: web.Request, response: web.StreamResponse) -> None:
        if request.transport and request.transport.get_extra_info("sslcontext") is not self._context:
            response.force_close()
            response.headers["Connection"] = "close"


def server_context(certificate: ServingCertificate, trust: Trust) -> ssl.SSLContext:
    """Asks for a client certificate and checks it, yet lets a caller without one in, who is told 401."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=trust.authorities)
    # `ssl` reads a key from a file only; the folder is ours alone and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        chain.write_text(certificate.certificate)
        key.touch(mode=0o600)
        key.write_text(certificate.key)
        context.load_cert_chain(chain, key)
    return context


def _listening(port: int) -> socket.socket:
    made = socket.create_server(
        ("::" if socket.has_dualstack_ipv6() else "", port),
        family=socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET,
        dualstack_ipv6=socket.has_dualstack_ipv6(),
        backlog=_BACKLOG,
    )
    made.setblocking(False)
    return made

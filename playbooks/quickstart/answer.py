"""Serves one page over TLS. `--once` asks it one question, prints the answer and ends; otherwise until Ctrl-C."""

import configparser
import http.server
import os
import ssl
import sys
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
CERTIFICATE = os.path.join(HERE, os.pardir, "tls", "cert.pem")
KEY = os.path.join(HERE, os.pardir, "tls", "key.pem")


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the page, whatever is asked for."""

    page = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format, *arguments):
        """Says nothing: what is printed is the answer."""


def main():
    """Reads the settings, listens on a free port, and answers."""
    settings = configparser.ConfigParser()
    settings.read(os.path.join(HERE, "settings.ini"))
    with open(os.path.join(HERE, settings["page"]["file"]), "rb") as file:
        Handler.page = file.read()
    server = http.server.ThreadingHTTPServer((settings["server"]["address"], 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = "https://localhost:%d/" % server.server_address[1]
    if "--once" in sys.argv:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        trust = ssl.create_default_context(cafile=CERTIFICATE)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
        with opener.open(url, timeout=10) as answer:
            print(answer.read().decode())
        server.shutdown()
        return
    print("serving", url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

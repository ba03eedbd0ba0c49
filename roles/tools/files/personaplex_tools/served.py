"""Checks of the server: its certificate, its unit, where it listens, and whether it converses."""

from __future__ import annotations

import datetime
import os
import re
import ssl
import stat
import time
import urllib.error
import urllib.request

from . import card
from .conversation import Busy, Conversation, Dropped, Server
from .fault import Fault, Settings, Unknown, last, said
from .listening import listener, listeners
from .speech import LOUD, load, loudness, sentences
from .websocket import Refused

AGAIN = "apply the playbook again"
ROLE = "You enjoy having a good conversation."


def certificate(s: Settings) -> None:
    """Certificate and key are a pair, for the right names, for longer than a week, and the key is its owner's alone."""
    cert, key = f"{s.tls}/cert.pem", f"{s.tls}/key.pem"
    for path in (cert, key):
        if not os.path.exists(path):
            raise Fault(f"{path} is not there", "with half a pair the server falls back to HTTP", AGAIN)
    if stat.S_IMODE(os.stat(key).st_mode) & 0o077:
        raise Fault(f"{key} may be read by others", "", f"chmod 600 {key}; better, remove it and {AGAIN}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise Fault("certificate and key are no pair", str(error), f"remove both; {AGAIN}") from None
    _, text = said(["openssl", "x509", "-in", cert, "-noout", "-enddate", "-ext", "subjectAltName"])
    end = re.search(r"notAfter=(.*)", text)
    if end:
        left = ssl.cert_time_to_seconds(end[1]) - datetime.datetime.now().timestamp()
        if left < 7 * 86400:
            raise Fault(f"the certificate ends on {end[1]}", "", f"{AGAIN}: it is made anew")
    held = {re.sub(r"\bAddress\b", "", one).replace(" ", "") for one in re.split(r",|\n", text)}
    for name in s.names:
        if _plain(name) not in {_plain(one) for one in held}:
            raise Fault(f"the certificate is not for {name}", "a browser refuses it", f"remove it; {AGAIN}")


def unit(s: Settings) -> None:
    """The unit is the one that was written, runs, comes back after a reboot, and does not restart over and over."""
    status, text = said(["systemctl", "show", s.unit, "--property",
                         "LoadState,ActiveState,SubState,UnitFileState,NRestarts,ExecStart,Result,DropInPaths"])
    if status:
        raise Unknown(f"systemd does not answer: {last(text, 1)}")
    have = dict(line.partition("=")[::2] for line in text.splitlines())
    journal = f"journalctl -u {s.unit}"
    if have["LoadState"] != "loaded":
        raise Fault(f"the unit {s.unit} is {have['LoadState']}", "", f"systemctl unmask {s.unit}; {AGAIN}")
    if "moshi-server" in have["ExecStart"]:
        raise Fault("the unit runs the console script moshi-server", "it starts the server once more after it was stopped", AGAIN)
    if s.launcher not in have["ExecStart"]:
        raise Fault("the unit does not run the launcher", "without it the server listens on every address", AGAIN)
    if have.get("DropInPaths"):
        raise Fault(f"the unit is changed by {have['DropInPaths']}", "", f"systemctl revert {s.unit}")
    if have["ActiveState"] != "active":
        said_ = _journal(s)
        known = next((cause for sign, cause in SIGNS if sign.lower() in said_.lower()), last(said_, 1))
        raise Fault(f"the server is not running ({have['ActiveState']}, {have['Result']})", known, f"{journal}; {AGAIN}")
    if have["UnitFileState"] != "enabled":
        raise Fault("the server will not start after a reboot", f"the unit is {have['UnitFileState']}", AGAIN)


SIGNS = (
    ("address already in use", "another program has the port"),
    ("out of memory", "the card's memory is full: see what else runs on it with nvidia-smi"),
    ("no kernel image is available", "this torch has no kernels for the card"),
    ("GatedRepoError", "the hub does not give the model for this token"),
    ("LocalEntryNotFoundError", "a file of the model is not in the cache"),
    ("MetadataIncompleteBuffer", "a file of the model was cut short"),
    ("Network is unreachable", "the server looks for a route to 8.8.8.8 when it is told to listen on localhost"),
    ("No module named 'accelerate'", "--cpu-offload needs accelerate"),
    ("Torch not compiled with CUDA enabled", "this torch was built for the processor only"),
    ("Found no NVIDIA driver", "the card cannot be seen"),
)
"""What the server says before it dies, and what that means."""


def listens(s: Settings) -> None:
    """The port is the server's, and it listens where it was told and nowhere else."""
    found = listeners(s.port)
    if not found:
        raise Fault(f"nobody listens on port {s.port}", "the server is still loading, or hangs", f"journalctl -u {s.unit}")
    _, pid = said(["systemctl", "show", s.unit, "--property", "MainPID", "--value"])
    holder = listener(s.port)
    if holder is not None and pid.isdigit() and int(pid) not in (0, holder):
        _, name = said(["ps", "-o", "args=", "-p", str(holder)])
        raise Fault(f"port {s.port} is held by another program: {name[:80]} (process {holder})", "",
                    "stop it, or set server_port")
    listens_only(s)


def listens_only(s: Settings) -> None:
    """The port is open on the declared address alone."""
    beyond = sorted(set(listeners(s.port)) - {s.address})
    if beyond:
        raise Fault(f"the server listens on {', '.join(beyond)}", "its own --host binds nothing, and there is no authentication",
                    f"start it with the launcher: {AGAIN}")


def web(s: Settings) -> None:
    """The page comes over TLS, verified against the server's own certificate."""
    host = f"[{s.probe}]" if ":" in s.probe else s.probe
    url = f"https://{host}:{s.port}/"
    try:
        context = ssl.create_default_context(cafile=f"{s.tls}/cert.pem")
        with urllib.request.urlopen(url, context=context, timeout=8) as answer:
            page = answer.read(1 << 16)
    except urllib.error.HTTPError as error:
        raise Fault(f"{url} answers {error.code}", "the page was not unpacked with the model" if error.code in (404, 500) else "",
                    AGAIN) from None
    except OSError as error:
        if _is_plain(s):
            raise Fault("the server speaks HTTP, not HTTPS", "it fell back since half of the certificate was missing when it "
                        "started; no browser gives a page over HTTP the microphone", f"systemctl restart {s.unit}") from None
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Fault(f"the certificate is refused: {reason.verify_message}",
                        "the server has another one than the file: it was made anew after the start",
                        f"systemctl restart {s.unit}") from None
        raise Fault(f"{url} does not answer: {reason}", "", f"journalctl -u {s.unit}") from None
    if b"<title" not in page:
        raise Fault(f"{url} is no page", "", AGAIN)


def conversation(s: Settings) -> None:
    """A question is asked, and the answer is sound and words. Busy is told apart from dead."""
    server = Server(s.probe, s.port, f"{s.tls}/cert.pem")
    spoken = sentences(load(s.recording))
    try:
        with Conversation(server, "NATF2.pt", ROLE, patience=30) as talk:
            for one in spoken[0][:40] if spoken else []:
                talk.say(one)
            asked = time.monotonic()
            while time.monotonic() - asked < 20 and not (talk.answer(asked) and talk.text()):
                talk.wait(0.08)
            talk.wait(0.24)
    except Busy:
        if not _answers(s):
            raise Fault("the server takes connections and answers none", "it hangs", f"systemctl restart {s.unit}") from None
        raise Fault("another conversation is on", "the server holds one at a time, and lets others wait without a word",
                    "close the other browser tab") from None
    except Dropped as error:
        raise Fault(f"a conversation does not begin: {error}", last(_journal(s), 1), f"journalctl -u {s.unit}") from None
    except (OSError, Refused) as error:
        raise Fault(f"a conversation cannot be opened: {error}", "" if _answers(s) else "the server hangs",
                    f"systemctl restart {s.unit}") from None
    if not talk.sound:
        raise Fault("the server sent no sound", "", f"journalctl -u {s.unit}")
    if loudness(talk.sound) < LOUD / 10:
        raise Fault("all that the server sends is silence", "", f"journalctl -u {s.unit}")
    if not talk.text():
        raise Fault("the server sent no words", "", f"journalctl -u {s.unit}")


def voices_differ(s: Settings) -> None:
    """Each of the 18 voices answers, and no two sound the same."""
    from .model import VOICES

    server = Server(s.probe, s.port, f"{s.tls}/cert.pem")
    spoken = sentences(load(s.recording))
    heard: dict[bytes, str] = {}
    for voice in VOICES:
        with Conversation(server, voice, ROLE) as talk:
            for one in spoken[0][:5] if spoken else []:
                talk.say(one)
            talk.wait(0.8)
        sound = talk.sound.tobytes().lstrip(b"\0")
        if not sound:
            raise Fault(f"the voice {voice} says nothing", "", AGAIN)
        if sound in heard:
            raise Fault(f"the voices {heard[sound]} and {voice} sound the same", "", AGAIN)
        heard[sound] = voice


def gpu(s: Settings) -> None:
    """The card answers, its driver is new enough, it is cool, and its memory is not full of something else."""
    smi = card.program()
    if smi is None:
        if s.device == "cpu":
            raise Unknown("there is no card, and the server computes on the processor")
        raise Fault("there is no nvidia-smi", "", "in WSL: update the driver in Windows, then wsl --shutdown")
    status, text = said([smi, "--query-gpu=driver_version,memory.total", "--format=csv,noheader,nounits"])
    version = text.split(",")[0]
    if status or not version[:1].isdigit():
        raise Fault(f"nvidia-smi fails: {last(text, 1)}", "driver and WSL do not fit each other, or the driver was updated while "
                    "WSL ran", "in Windows: wsl --update, wsl --shutdown")
    if int(version.split(".")[0]) < 570:
        raise Fault(f"the driver is {version}", "CUDA 12.8 needs 570 or newer", "update it; in WSL, in Windows")
    now = card.look()
    if (now.temperature or 0) >= card.ALERT:
        raise Fault(f"the card has {now.temperature} °C", f"it slows down from {card.ALERT} °C on", "look at the fans and the airflow")
    if now.throttled:
        raise Fault("heat holds the card's clocks back", "", "look at the fans and the airflow")


def _plain(name: str) -> str:
    """A name of a certificate in one form: openssl writes IPv6 addresses out."""
    name = name.strip().replace(" ", "")
    kind, _, value = name.partition(":")
    if kind.upper().startswith("IP") and ":" in value:
        import ipaddress

        try:
            return f"IP:{ipaddress.ip_address(value)}"
        except ValueError:
            return name
    return name.replace("IPAddress", "IP")


def _is_plain(s: Settings) -> bool:
    host = f"[{s.probe}]" if ":" in s.probe else s.probe
    try:
        with urllib.request.urlopen(f"http://{host}:{s.port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _answers(s: Settings) -> bool:
    try:
        context = ssl.create_default_context(cafile=f"{s.tls}/cert.pem")
        host = f"[{s.probe}]" if ":" in s.probe else s.probe
        with urllib.request.urlopen(f"https://{host}:{s.port}/", context=context, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _journal(s: Settings) -> str:
    _, text = said(["journalctl", "--unit", s.unit, "--no-pager", "--lines", "40", "--output", "cat"])
    return text

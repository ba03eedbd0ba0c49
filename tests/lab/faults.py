"""What can go wrong with an installed PersonaPlex: how each fault is made, how it is mended, and how it must be told.

Commands are for `sh -e` on the host, as root, in PersonaPlex's home; SITE, CACHE and UNIT are set (see `SETTING`).
"""

from __future__ import annotations

from dataclasses import dataclass

HOME = "/home/personaplex/personaplex"
SETTING = f"""
cd {HOME}
SITE=$(echo {HOME}/venv/lib/python3.*/site-packages)
CACHE=$(echo /home/personaplex/.cache/huggingface/hub/models--*)
SNAPSHOT=$(echo "$CACHE"/snapshots/*)
TLS=/home/personaplex/.personaplex/ssl
CARD=/usr/lib/wsl/lib/libcuda.so.1
UNIT=/etc/systemd/system/personaplex.service
aside() {{ cp -a "$1" "$1.aside"; }}
back() {{ rm -rf "$1"; mv "$1.aside" "$1"; }}
away() {{ mv "$1" "$1.aside"; }}
home() {{ rm -rf "${{1%.aside}}"; mv "$1" "${{1%.aside}}"; }}
serve() {{
    systemctl reset-failed personaplex; systemctl restart personaplex; listening
}}
listening() {{
    for _ in $(seq 100); do ss -Hltn 'sport = :8998' | grep -q . && return; sleep 0.1; done
    exit 1
}}
certify() {{
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout $TLS/key.pem -out $TLS/cert.pem "$@" 2> /tmp/r
    chown personaplex: $TLS/*.pem; chmod 600 $TLS/key.pem
}}
"""
PAIR = "aside $TLS/cert.pem; aside $TLS/key.pem"
PAIR_BACK = "back $TLS/cert.pem; back $TLS/key.pem"
NAMES = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


@dataclass(frozen=True)
class Planted:
    """One fault."""

    name: str
    make: str
    mend: str
    check: str
    "The one check that must fail."
    says: str
    "What it must say, in what, why or what to do."
    slow: bool = False
    "Whether telling it takes long, since something must be waited for."


def edited(path: str, expression: str) -> tuple[str, str]:
    """Commands that edit a file with sed, and that put it back."""
    return f"aside {path}; sed -i -E '{expression}' {path}", f"back {path}"


def gone(path: str) -> tuple[str, str]:
    """Commands that move something out of the way, and back."""
    return f"away {path}", f"home {path}.aside"


def served(module: str, expression: str) -> tuple[str, str]:
    """Commands that have the server run with a module of its own edited, and that put it back."""
    make, mend = edited(f"$SITE/moshi/{module}.py", expression)
    return f"{make}; serve", f"{mend}; serve"


RELOAD = "systemctl daemon-reload"
METADATA = "Metadata-Version: 2.1\\nName: moshi\\nVersion: 0.2.13\\n"
DRIVER = "Package: nvidia-driver-570\\nStatus: install ok installed\\nArchitecture: amd64\\nMaintainer: x\\n"
DRIVER += "Version: 1\\nDescription: x\\n\\n"
TALK = """
cat > /tmp/talk.py <<'END'
import sys, time
from personaplex_tools.conversation import Conversation, Server
with Conversation(Server("127.0.0.1", 8998, sys.argv[1]), "NATF0.pt", "x"):
    open("/tmp/on", "w").close()
    time.sleep(300)
END
PYTHONPATH=tools PYTHONDONTWRITEBYTECODE=1 setsid venv/bin/python /tmp/talk.py $TLS/cert.pem > /dev/null 2>&1 &
echo $! > /tmp/talker
for _ in $(seq 100); do test -e /tmp/on && break; sleep 0.1; done
"""
GIT = "git -c safe.directory=* -c user.name=x -c user.email=x@x.invalid -C source"

FAULTS = (
    Planted("another commit", f"aside source; {GIT} commit -q --allow-empty -m other", "back source",
            "source", "not at"),
    Planted("an edited source", "aside source; echo >> source/moshi/pyproject.toml", "back source",
            "source", "pyproject.toml"),
    Planted("no Python", *gone("/home/personaplex/.pyenv/versions"), "python", "does not start"),
    Planted("Python without ctypes", *gone("/home/personaplex/.pyenv/versions/3*/lib/python3*/ctypes"),
            "python", "lacks the module ctypes"),
    Planted("Kyutai's moshi beside it",
            f"d=moshi-0.2.13.dist-info; mkdir $SITE/$d; printf '{METADATA}' > $SITE/$d/METADATA; "
            'printf "$d/METADATA,,\\n$d/RECORD,,\\n" > $SITE/$d/RECORD; chown -R personaplex: $SITE/$d',
            "rm -r $SITE/moshi-0.2.13.dist-info", "packages", "moshi==0.2.13 is installed"),
    Planted("PersonaPlex uninstalled", *gone("$SITE/moshi_personaplex-*.dist-info"),
            "packages", "moshi-personaplex is not installed"),
    Planted("no accelerate", *gone("$SITE/accelerate-*.dist-info"), "packages", "--cpu-offload needs it"),
    Planted("another aiohttp", "mv $SITE/aiohttp-3.10.11.dist-info $SITE/aiohttp-3.12.0.dist-info",
            "mv $SITE/aiohttp-3.12.0.dist-info $SITE/aiohttp-3.10.11.dist-info", "packages", "aiohttp"),
    Planted("the torch of PersonaPlex's pin", *edited("$SITE/torch/version.py", "s/2\\.9\\.1/2.4.1/"),
            "torch", "knows no Blackwell"),
    Planted("torch for the processor", *edited("$SITE/torch/version.py", "s/^cuda = .*/cuda = None/"),
            "torch", "for the processor only"),
    Planted("torch without kernels for the card", *edited("$SITE/torch/version.py", "s/sm_120//"),
            "torch", "no kernel image"),
    Planted("a module gone", *gone("$SITE/sentencepiece"), "server_starts", "No module named 'sentencepiece'"),
    Planted("another lock file", *edited("requirements.lock.txt", "s/^einops==.*/einops==0.8.0/"), "lock", "einops"),
    Planted("a token that all may read", "chmod 644 .env", "chmod 600 .env", "env_file", "may be read by others"),
    Planted("no token", *edited(".env", "/^HF_TOKEN/d"), "env_file", "holds no token"),
    Planted("an unknown token", *edited(".env", "s/^HF_TOKEN=.*/HF_TOKEN=hf_unknown/"), "gate", "(401)"),
    Planted("no licence", *edited(".env", "s/^HF_TOKEN=.*/HF_TOKEN={token_without_licence}/"), "gate", "(403)"),
    Planted("a model cut short",
            "f=$(readlink -f $SNAPSHOT/model.safetensors); echo $f > /tmp/blob; aside $f; truncate -s 1000000 $f",
            "back $(cat /tmp/blob)", "files", "model.safetensors"),
    Planted("a file of the model gone", *gone("$SNAPSHOT/tokenizer_spm_32k_3.model"), "files", "tokenizer_spm_32k_3"),
    Planted("a voice that was not unpacked", *gone("$SNAPSHOT/voices/VARF3.pt"), "voices", "VARF3.pt"),
    Planted("weights that were missing", "aside offline/assistant.log; echo 'Missing %s text_linear.weight' >> "
            "offline/assistant.log", "back offline/assistant.log", "offline", "without all weights"),
    Planted("a silent answer",
            "f=offline/service.wav; aside $f; { head -c 44 $f.aside; head -c 960000 /dev/zero; } > $f",
            "back offline/service.wav", "offline", "silent"),
    Planted("an answer cut short", "f=offline/assistant.wav; aside $f; head -c 960044 $f.aside > $f",
            "back offline/assistant.wav", "offline", "lasts 20.0 s, the recording 40.0 s"),
    Planted("an answer without words", "f=offline/service.json; aside $f; echo '[\"PAD\", \"EPAD\"]' > $f",
            "back offline/service.json", "offline", "nothing was said to service"),
    Planted("a recording that was not answered", *gone("offline/service.wav"), "offline", "service was not answered"),
    Planted("half a certificate", *gone("$TLS/key.pem"), "certificate", "falls back to HTTP"),
    Planted("no pair", f"{PAIR}; openssl genrsa 2048 > $TLS/key.pem 2>/dev/null", PAIR_BACK, "certificate", "no pair"),
    Planted("a key that all may read", "chmod 644 $TLS/key.pem", "chmod 600 $TLS/key.pem", "certificate", "by others"),
    Planted("a certificate that ends", f"{PAIR}; certify -days 1 {NAMES}", PAIR_BACK, "certificate", "ends on"),
    Planted("a certificate for others", f"{PAIR}; certify -days 99 -addext subjectAltName=DNS:other", PAIR_BACK,
            "certificate", "not for DNS:localhost"),
    Planted("a certificate newer than the server", f"{PAIR}; certify -days 99 {NAMES}", PAIR_BACK, "web", "refused"),
    Planted("a stopped service", "systemctl stop personaplex", "serve", "unit", "not running"),
    Planted("a service that stays off", "systemctl -q disable personaplex", "systemctl -q enable personaplex", "unit",
            "after a reboot"),
    Planted("a masked service", f"away $UNIT; ln -s /dev/null $UNIT; {RELOAD}", f"back $UNIT; {RELOAD}", "unit",
            "masked"),
    Planted("the console script", f"{edited('$UNIT', 's|^ExecStart=.*|ExecStart=/bin/moshi-server|')[0]}; {RELOAD}",
            f"back $UNIT; {RELOAD}", "unit", "console script"),
    Planted("a drop-in", f"mkdir $UNIT.d; printf '[Service]\\nNice=5\\n' > $UNIT.d/nice.conf; {RELOAD}",
            f"rm -r $UNIT.d; {RELOAD}", "unit", "nice.conf"),
    Planted("a port that is taken", "systemctl stop personaplex; (setsid python3 -m http.server 8998 >/dev/null 2>&1 & "
            "echo $! > /tmp/holder); sleep 0.5; systemctl start personaplex; sleep 2",
            "kill $(cat /tmp/holder) || true; serve",
            "unit", "another program has the port"),
    Planted("a server that fell back to HTTP", "away $TLS/key.pem; serve; mv $TLS/key.pem.aside $TLS/key.pem", "serve",
            "web", "HTTP, not HTTPS"),
    Planted("a server that all can reach", f"{edited('$UNIT', 's|py 127.0.0.1|py 0.0.0.0|')[0]}; {RELOAD}; serve",
            f"back $UNIT; {RELOAD}; serve", "listens", "0.0.0.0"),
    Planted("no page", f"{gone('$SNAPSHOT/dist/index.html')[0]}", gone("$SNAPSHOT/dist/index.html")[1], "web", "404"),
    Planted("a hot card", *edited("$CARD", "s/\"temperature\": [0-9]+/\"temperature\": 88/"), "gpu", "88 °C"),
    Planted("a card held back", *edited("$CARD", "s/\"throttle\": [0-9]+/\"throttle\": 64/"), "gpu", "clocks"),
    Planted("an old driver", *edited("$CARD", "s/581.57/566.36/"), "gpu", "needs 570"),
    Planted("no driver", *edited("$CARD", "s/\"error\": \"\"/\"error\": \"NVIDIA-SMI has failed\"/"), "gpu",
            "NVIDIA-SMI has failed"),
    Planted("a Linux driver in WSL", f"aside /var/lib/dpkg/status; printf '{DRIVER}' >> /var/lib/dpkg/status",
            "back /var/lib/dpkg/status", "driver", "nvidia-driver-570"),
    Planted("another first message", *served("server", r"s/b\"\\x00\"/b\"\\x07\"/"), "conversation",
            "not the handshake"),
    Planted("words without sound", *served("server", "/x01.*writer.read_bytes/d"), "conversation", "sent no sound"),
    Planted("silence with words", *served("models/lm", "s/0\\.3 \\*/0.0 */"), "conversation", "is silence"),
    Planted("sound without words", *served("server", "s/piece not in lm.SPECIAL/False/"), "conversation",
            "sent no words", slow=True),
    Planted("two voices alike", "cd $SNAPSHOT/voices; aside NATF1.pt; cp NATF0.pt NATF1.pt",
            "back $SNAPSHOT/voices/NATF1.pt", "voices_differ", "NATF0.pt and NATF1.pt sound the same"),
    Planted("a server that hangs", "kill -STOP $(systemctl show personaplex -p MainPID --value)",
            "kill -CONT $(systemctl show personaplex -p MainPID --value)", "web", "does not answer", slow=True),
    Planted("another conversation", TALK, "kill $(cat /tmp/talker) || true; rm /tmp/on /tmp/talk.py", "conversation",
            "another conversation", slow=True),
)

TASKS, PLAYBOOK, PERSON = "its tasks", "the playbook", "a person"
"""What mends a fault: what the doctor prescribes, the playbook once more, or somebody with a card or a browser."""

DIAGNOSES: dict[str, tuple[str, str]] = {
    # fault: the doctor's rule, and what mends it
    "another commit": ("source-changed", PLAYBOOK),
    "an edited source": ("source-changed", TASKS),
    "no Python": ("no-virtualenv", PLAYBOOK),
    "Python without ctypes": ("python-extensions", PERSON),
    "Kyutai's moshi beside it": ("other-moshi", TASKS),
    "PersonaPlex uninstalled": ("not-installed", TASKS),
    "no accelerate": ("no-accelerate", TASKS),
    "another aiohttp": ("broken-requirements", TASKS),
    "the torch of PersonaPlex's pin": ("torch-replaced", TASKS),
    "torch for the processor": ("torch-without-cuda", TASKS),
    "torch without kernels for the card": ("no-kernels", TASKS),
    "a module gone": ("server-does-not-start", TASKS),
    "another lock file": ("lock-differs", PLAYBOOK),
    "a token that all may read": ("env-readable", TASKS),
    "no token": ("env-without-token", TASKS),
    "an unknown token": ("bad-token", TASKS),
    "no licence": ("licence-not-accepted", TASKS),
    "a model cut short": ("truncated-model", PLAYBOOK),
    "a file of the model gone": ("model-file-missing", PLAYBOOK),
    "a voice that was not unpacked": ("partial-voices", TASKS),
    "half a certificate": ("half-a-pair", TASKS),
    "no pair": ("half-a-pair", TASKS),
    "a key that all may read": ("key-readable", TASKS),
    "a certificate that ends": ("half-a-pair", TASKS),
    "a certificate for others": ("half-a-pair", TASKS),
    "a certificate newer than the server": ("certificate-renewed", TASKS),
    "a stopped service": ("unit-down", TASKS),
    "a service that stays off": ("unit-down", TASKS),
    "a masked service": ("unit-masked", PLAYBOOK),
    "the console script": ("console-script", PLAYBOOK),
    "a drop-in": ("unit-changed", TASKS),
    "a port that is taken": ("port-taken", TASKS),
    "a server that fell back to HTTP": ("http-fallback", TASKS),
    "a server that all can reach": ("listens-everywhere", PLAYBOOK),
    "no page": ("page-missing", TASKS),
    "a hot card": ("too-hot", PERSON),
    "a card held back": ("too-hot", PERSON),
    "an old driver": ("driver-too-old", PERSON),
    "no driver": ("driver-not-reached", PERSON),
    "a Linux driver in WSL": ("linux-driver-in-wsl", PERSON),
    "another first message": ("closed-1006", PERSON),
    "words without sound": ("checkup: conversation", PERSON),
    "silence with words": ("checkup: conversation", PERSON),
    "sound without words": ("checkup: conversation", PERSON),
    "a server that hangs": ("server-hangs", TASKS),
    "another conversation": ("one-session", PERSON),
}
CURED = tuple(one for one in FAULTS if DIAGNOSES.get(one.name, ("", PERSON))[1] != PERSON)
CURED_FEW = tuple(one for one in CURED if one.name in (
    "torch without kernels for the card", "no licence", "a certificate that ends", "a port that is taken",
))
_LEFT = [one for one in FAULTS if not one.slow and one not in CURED_FEW]
FEW = tuple(one for one in _LEFT if [other for other in _LEFT if other.check == one.check].index(one) < 2)
"""Two faults for each check, beside those that are told where they are mended."""

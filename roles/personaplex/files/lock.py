"""What is installed in this interpreter's environment, as a requirements file with digests.

`lock.py FILE` says `current` or `stale`; `lock.py --digests [--source FROM] [PIP-ARGUMENT…]` prints the file.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def pip(*words):
    """What pip prints. Ends the program with pip's own words when it fails."""
    done = subprocess.run([*PIP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def installed():
    """(name, version, where it came from when that is no index), by name."""
    found = json.loads(pip("inspect", "--local"))["installed"]
    rows = [(one["metadata"]["name"], one["metadata"]["version"], one.get("direct_url")) for one in found]
    return sorted(rows, key=lambda row: normal(row[0]))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def digests(rows, arguments):
    """Name -> digests, as the index gives them; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = os.path.join(folder, "wanted.txt")
        report = os.path.join(folder, "report.json")
        with open(wanted, "w") as file:
            file.writelines(f"{name}=={version}\n" for name, version, direct in rows if not direct)
        pip("install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--report", report, "-r", wanted, *arguments)
        with open(report) as file:
            chosen = json.load(file)["install"]
    return {
        normal(one["metadata"]["name"]): one["download_info"].get("archive_info", {}).get("hashes", {}) for one in chosen
    }


def main():
    rows = installed()
    if "--digests" not in sys.argv:
        try:
            with open(sys.argv[1]) as file:
                written = re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", file.read())
        except OSError:
            written = []
        have = {(normal(name), version) for name, version, direct in rows if not direct}
        print("current" if {(normal(name), version) for name, version in written} == have else "stale")
        return
    words = sys.argv[1:]
    words.remove("--digests")
    source = ""
    if "--source" in words:
        at = words.index("--source")
        source = words[at + 1]
        del words[at : at + 2]
    known = digests(rows, words)
    print("# What this machine has. `pip install --require-hashes --no-deps -r` of this file brings the same.")
    for name, version, direct in rows:
        if direct:
            kind = "editable, " if direct.get("dir_info", {}).get("editable") else ""
            print(f"# {name} {version}: {kind}from a directory of {source or direct['url']}")
            continue
        hashes = "".join(f" \\\n    --hash={kind}:{value}" for kind, value in sorted(known.get(normal(name), {}).items()))
        print(f"{name}=={version}{hashes}")


main()

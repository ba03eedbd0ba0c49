"""Stands in for wsl.exe where there is no Windows: run as a program, it behaves as the notes on wsl.exe say.

Its own words go to standard output, UTF-16LE with CRLF unless WSL_UTF8 is exactly "1"; its own failures are status
255, as seen from inside WSL. Names after -d and -u are taken as they stand, quotes included. What follows -e is run
without a shell, its bytes relayed as they are; WSL_UTF8 crosses to Windows only when WSLENV names it.
FAKE_WSL_STATE makes it fail: `exporting`, `session0`, `hangs`; `inbox` is an old version: UTF-16 always, CR doubled.
"""

from __future__ import annotations

import os
import sys
import time

USERS = ("root", "ann")


def say(text: str, crossing: str) -> None:
    """Prints as wsl.exe does."""
    inbox = os.environ.get("FAKE_WSL_STATE") == "inbox"
    data = text.replace("\n", "\r\r\n" if inbox else "\r\n")
    sys.stdout.buffer.write(data.encode("utf-8" if crossing == "1" and not inbox else "utf-16-le"))
    sys.stdout.buffer.flush()


def main(words: list[str]) -> int:
    crosses = "WSL_UTF8" in os.environ.get("WSLENV", "").split(":")
    utf8 = os.environ.get("WSL_UTF8", "") if crosses else ""
    distribution, user = "Ubuntu", "ann"
    state = os.environ.get("FAKE_WSL_STATE", "")
    while words:
        word = words.pop(0)
        if word == "-d":
            distribution = words.pop(0)
        elif word == "-u":
            user = words.pop(0)
        elif word == "--cd":
            os.chdir(words.pop(0))
        elif word in ("-e", "--exec"):
            break
        else:
            say(f"Invalid command line argument: {word}\nPlease use 'wsl.exe --help' to get help.\n", utf8)
            return 255
    if state == "hangs":
        time.sleep(600)
    if state == "session0":
        say("The file cannot be accessed by the system.\n", utf8)
        return 1
    if state == "exporting":
        say("Der Vorgang läuft bereits.\nFehlercode: Wsl/Service/E_ILLEGAL_STATE_CHANGE\n", utf8)
        return 255
    if distribution.lower() != "ubuntu":
        say("指定された名前のディストリビューションはありません。\n", utf8)
        say("エラー コード: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\n", utf8)
        return 255
    if user not in USERS:
        say("User not found.\nError code: Wsl/Service/WSL_E_USER_NOT_FOUND\n", utf8)
        return 255
    sys.stderr.write("wsl: Unknown key 'wsl2.a' in C:\\Users\\x\\.wslconfig:21\n")
    sys.stderr.flush()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WSL_UTF8", "FAKE_"))}
    environment["USER"] = user
    try:
        os.execvpe(words[0], words, environment)
    except OSError:
        where = "<3>WSL (11) ERROR: CreateProcessCommon:640:"
        sys.stderr.write(f"{where} execvpe({words[0]}) failed: No such file or directory\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

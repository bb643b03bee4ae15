"""The forms of what is private, as patterns: folders, addresses, names of machines, secrets."""

from __future__ import annotations

import re

# Where folders of people and machines begin; names of layers begin with a slash too, and are no path.
ROOTS = frozenset(
    (
        *("bin", "boot", "data", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "nfs", "open_explorer", "opt"),
        *("private", "proc", "root", "run", "sbin", "share", "srv", "sys", "tmp", "userdata", "Users", "usr", "var"),
        *("Volumes", "workspace", "workspaces"),
    )
)
_LETTER = r"[^\s/:;,'\"<>|()\[\]{}\\?*&=`]"  # of a folder's name
PATH = re.compile(rf"(?<![\w.<>/:~-])(?:file://)?/(?:{_LETTER}+/)+{_LETTER}*")
HOME = re.compile(r"/(?:home|Users)/[^\s/:;,'\"<>]+")
WINDOWS = re.compile(r"\b[A-Za-z]:\\(?:[^\s\\:*?\"<>|]+\\)+[^\s\\:*?\"<>|]*|\\\\[\w.-]+\\[\w$.-]+")
LOGIN = re.compile(r"(?<![\w.@<>%+-])[A-Za-z_][\w.+-]{0,63}@[A-Za-z0-9](?:[\w-]*[\w])?(?:\.[\w-]+)*(?![\w@])")
IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]|-\w)")
IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4})+(?:%\w+)?(?![\w:])|(?<![\w:.])fe80::[0-9a-f:]+"
)
MAC = re.compile(r"(?<![\w:.-])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![\w:-])")
HOST = re.compile(
    r"(?i)(?<![\w.-])[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*"
    r"\.(?:local|lan|internal|intranet|corp|home\.arpa|localdomain)(?![\w-])"
)
# Four numbers behind such a word are a version.
VERSION = re.compile(
    r"(?i)(?:version|ver|v|release|build|runtime|==|>=|<=|~=)[\"']?\s{0,3}(?:is|=|:|-|_)?[\s\"'(\[]{0,3}v?$"
)
_KEY = r"(?i)\b(?:authorization|x-api-key|api[_-]?key|access[_-]?token|secret[_-]?key)"
SECRETS = (
    ("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")),
    ("a token", re.compile(r"\b(?:ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|hf|npm|pypi)[-_][A-Za-z0-9_-]{16,}")),
    ("a token", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+")),
    ("a token", re.compile(rf"{_KEY}[\"']?\s*[:=]\s*[\"']?(?!\*\*\*|<)\S{{6,}}")),
)

"""Passwords that tools print are left out of everything that harness shows or stores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

HIDDEN = "***"
OWN = r"(?!HARNESS_PASSWORD|\*\*\*)"  # the name of harness's variable in a hint is no password
_NAME = r"pass(?:word|wd|phrase)s?[_-]?[0-9]{0,3}"
_LOGIN_PASS = r"(?:ssh|sudo|become|login|user|root|admin|bmc)[_-]?pass"
_OF_BOARD = r"HARNESS_PASSWORD_\w{1,100}"  # the variable that a board's password may stand in
_KEY = re.compile(rf"(?i)(?:.*{_NAME}|(?:.*[_-])?{_LOGIN_PASS}|{_OF_BOARD}|pwd)")
_FLAG = rf"(?:--?pass(?:word|wd|phrase)?|--?(?:\w{{1,40}}[_-]){{0,4}}(?:{_NAME}|{_LOGIN_PASS})|-pw)"
_FLAG_ITEM = re.compile(rf"(?i){_FLAG}|.*{_NAME}[:=]")

_QUOTE = r"(?:\\?[\"'])?"  # that closes a key; with a backslash where JSON stands inside of a string
_IS = rf"(?:{_NAME}|{_LOGIN_PASS}|{_OF_BOARD}){_QUOTE}[ \t]*(?:=>|[:=]=?)[ \t]*"
_CHARACTER = r"(?:[^\s\"']|[\"'](?![\s,:;}\])]|$))"  # of a shell's word: a quote that closes a string is none
_WORD = rf"{OWN}(?:{_CHARACTER}*(?![,;)\]}}]){_CHARACTER}|{_CHARACTER}+)"  # without punctuation behind it
_IN_ADDRESS = r"(?:[^\s/@\"']|[\"'](?![\s,:;}\])]))"
_STATES = (
    r"none|null|nil|no|not|yes|true|false|given|set|unset|empty|missing|required|needed|wrong|incorrect|invalid"
    r"|denied|refused|failed|failure|on|off|enabled|disabled|authentication|accepted|ok|expired|changed|unknown"
)
# What is said behind "password:" in place of one; ssh's prompt ends no line, so its next message follows it.
_NO_VALUE = (
    rf"(?![(<\[]?(?:(?:{_STATES})\b[ \t,]*){{1,8}}[.!?)\]}}>;]{{0,4}}[ \t\r]*$)"
    r"(?!(?:permission|access) denied|connection (?:closed|reset|refused|timed|to\b)|authentication (?:fail|is|token)"
    r"|login incorrect|received disconnect|lost connection|sorry, try again)"
)
_NEXT_KEY = r"[,;](?:[ \t]+[\"']?|[\"'])\w[\w.-]{0,40}[\"']?[ \t]*[:=]"
_LINE = rf"(?![\s\"']|\\[\"']|\[\*\*\*){OWN}{_NO_VALUE}[^\n]+?(?={_NEXT_KEY}|[ \t)\]}}\"'\r]{{0,4}}$)"
_MYSQL_TOOL = r"(?:mysql|mariadb|mycli)[\w-]{0,20}"
_MYSQL = rf"\b{_MYSQL_TOOL}[ \t](?:[^\n|;&]{{0,300}}?[ \t])?"
_BEGIN = (  # of a line, behind a time stamp and a level
    r"^[\d\-:., TZ/\[\]\t]{0,60}(?:\[?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|[DIWEF])\]?[ :\t]{1,4})?"
    r"(?:export[ \t]+)?[\w.-]{0,60}"
)
_PATTERNS = tuple(
    re.compile(rf"(?im)(?P<lead>{lead}){value}")
    for lead, value in (
        # "with username root and password hunter 2 failed!": up to the verb, or to the end of a truncated line
        (
            rf"\buser(?:name)?[ \t]+\S{{1,100}}[ \t]+and[ \t]+{_NAME}[ \t]+",
            r"(?![ \t])[^\n]{1,400}?(?=[ \t]+(?:failed|is|was)\b|[ \t]*$)",
        ),
        # "password": "x", PASSWORD='x y', \"password\": \"x\", passwords: [x, y], <password>x</password>
        (rf"{_IS}\\\"", rf"{OWN}(?:(?!\\\")[^\n])+"),
        (rf"{_IS}\"", rf"{OWN}(?:\\.|[^\"\\\n])+"),
        (rf"{_IS}'", rf"{OWN}(?:''|\\.|[^'\\\n])+"),
        (rf"{_IS}\[", rf"{OWN}[^\]\n]+"),
        (rf"<[\w:.-]{{0,60}}{_NAME}(?:[ \t][^<>\n]{{0,200}})?>", rf"{OWN}[^<\n]+"),
        # {"password":12345}; the keywords of JSON are none
        (rf"(?:{_NAME}|{_LOGIN_PASS})\\?[\"'][ \t]*:[ \t]*", rf"(?!null\b|true\b|false\b|[\[{{\\\"']){OWN}[^\s,}}\]]+"),
        # password: x y, and password=x y alone on a line: to the end of the line, or up to ", port: 22"
        (rf"(?:{_NAME}|{_LOGIN_PASS})[ \t]*:[ \t]*", _LINE),
        (rf"(?:{_NAME}|{_LOGIN_PASS})[ \t]*(?:=>|==?)[ \t]+", _LINE),
        (rf"{_BEGIN}(?:{_NAME}|{_LOGIN_PASS})=", rf"(?![^\n]*[ \t][\w.-]{{1,40}}=){_LINE}"),
        (rf"(?:{_NAME}|{_LOGIN_PASS}|{_OF_BOARD})==?", rf"(?![\"'\[]){_WORD}"),
        # --password x, --ssh-pass=x, -pw x; "two-pass quantization" is no option, "--password is wrong" has no value
        (rf"(?<![\w-]){_FLAG}(?:[ \t]+|=)\"", rf"{OWN}(?:\\.|[^\"\\\n])+"),
        (rf"(?<![\w-]){_FLAG}(?:[ \t]+|=)'", rf"{OWN}[^'\n]+"),
        (
            rf"(?<![\w-]){_FLAG}(?:[ \t]+(?!-)|=)",
            rf"(?![\"'])(?!(?:is|was|to|or|and|requires?|needs?|must|cannot|for|with|has)\b[ \t]){_WORD}",
        ),
        (rf"[\"']{_FLAG}\\?[\"'],\s{{0,9}}\\?[\"']", rf"{OWN}[^\"'\\\n]+"),
        (r"\bsshpass(?:[ \t]+-(?:[vehV]+|[fdP][ \t]*\S+)){0,9}[ \t]+-v?p[ \t]*\"", rf"{OWN}(?:\\.|[^\"\\\n])+"),
        (r"\bsshpass(?:[ \t]+-(?:[vehV]+|[fdP][ \t]*\S+)){0,9}[ \t]+-v?p[ \t]*'", rf"{OWN}[^'\n]+"),
        (r"\bsshpass(?:[ \t]+-(?:[vehV]+|[fdP][ \t]*\S+)){0,9}[ \t]+-v?p[ \t]*", rf"(?![\"']){_WORD}"),
        (r"\bsshpass\\?[\"'],(?:\s{0,9}\\?[\"']-\w+\\?[\"'],){0,9}?\s{0,9}\\?[\"']-p\\?[\"'],\s{0,9}\\?[\"']",
         rf"{OWN}[^\"'\\\n]+"),
        # curl -u root:x, curl --user=root:x
        (r"\bcurl\b[^\n]{0,300}?[ \t](?:-u|--(?:proxy-)?user)[ \t=]*\"[^\s:\"']{1,100}:", rf"{OWN}[^\"\n]+"),
        (r"\bcurl\b[^\n]{0,300}?[ \t](?:-u|--(?:proxy-)?user)[ \t=]*'[^\s:\"']{1,100}:", rf"{OWN}[^'\n]+"),
        (r"\bcurl\b[^\n]{0,300}?[ \t](?:-u|--(?:proxy-)?user)[ \t=]*[^\s:\"']{1,100}:", _WORD),
        # mysql -uroot -px, where a blank would make it the database; -P is the port
        (rf"{_MYSQL}(?-i:-p)\"", rf"{OWN}(?:\\.|[^\"\\\n])+"),
        (rf"{_MYSQL}(?-i:-p)'", rf"{OWN}[^'\n]+"),
        (rf"{_MYSQL}(?-i:-p)", rf"(?![\"']){_WORD}"),
        (rf"\b{_MYSQL_TOOL}\\?[\"'],(?:\s{{0,9}}\\?[\"'][^\"'\n]{{0,99}}\\?[\"'],){{0,9}}?\s{{0,9}}\\?[\"'](?-i:-p)",
         rf"{OWN}[^\"'\\\n]+"),
        # ssh://root:x@host: up to the last @ of the authority; one with a slash has no port's digits in front of it
        (r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']{0,100}:",
         rf"{OWN}(?:@|{_IN_ADDRESS}){{1,400}}(?=@)"),
        (r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']{1,100}:",
         rf"{OWN}(?!\d{{1,5}}/){_IN_ADDRESS}{{1,200}}/(?:/|{_IN_ADDRESS}){{0,200}}(?=@)"),
    )
)  # fmt: skip


# `password:` of YAML with its value in the lines below, as a block (`|`, `>`) or as it is: those are further in.
_ABOVE_BLOCK = re.compile(
    rf"(?im)^(?P<indent>[ \t]*(?:- )?)[\"']?[\w.-]{{0,60}}(?:{_NAME}|{_LOGIN_PASS})[\"']?[ \t]*:"
    r"[ \t]*(?P<style>[|>][-+0-9]{0,2})?[ \t]*(?:#[^\n]*)?\r?$"
)
_IN_BLOCK = re.compile(r"^(?P<indent>[ \t]*)(?P<text>\S.*?)(?P<end>\r?)$")
_MAPPING = re.compile(r"^[\"']?[\w.-]{1,60}[\"']?[ \t]*:(?:[ \t]+(?P<value>\S.*))?$")


def _without_blocks(text: str) -> str:
    """Lines further in than a key for a password without their text; a list may begin where its key does."""
    lines = text.split("\n")
    above: re.Match[str] | None = None
    for place, line in enumerate(lines):
        if above is not None and (within := _IN_BLOCK.match(line)):
            depth, is_listed = len(above["indent"]), not above["style"] and within["text"].startswith("- ")
            if len(within["indent"]) > depth or (is_listed and len(within["indent"]) == depth):
                lines[place] = _line_hidden(within, bool(above["style"]))
                continue
            above = None
        above = _ABOVE_BLOCK.match(line) or above
    return "\n".join(lines)


def _line_hidden(line: re.Match[str], is_block: bool) -> str:
    mapping = None if is_block else _MAPPING.match(line["text"])
    if mapping is None:
        return f"{line['indent']}{HIDDEN}{line['end']}"
    shown = line["text"][: mapping.start("value")] + HIDDEN if mapping["value"] else line["text"]
    return f"{line['indent']}{shown}{line['end']}"


def without_passwords(text: str) -> str:
    """`text` with `***` in place of each password: of a sentence, an assignment, an option or an address.

    "without password", "password authentication", "password: none given" and the like hold none and stay as they are.
    """
    if not may_hold_one(text):
        return text
    text = _without_blocks(text) if _ABOVE_BLOCK.search(text) else text
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<lead>{HIDDEN}", text)
    return text


def may_hold_one(text: str) -> bool:
    """Whether it is worth looking: almost no text has such a word."""
    lower = text.lower()
    return any(word in lower for word in ("pass", "://", "curl", "pwd", "-pw", "mysql", "mariadb", "mycli"))


def values_without_passwords(value: Any) -> Any:
    """The same for every string in JSON's objects and lists; whatever stands under a key that names a password,
    and whatever follows an option for one in a list of arguments, is left out too.
    """
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, list | tuple):
        return list(_items(value))
    if isinstance(value, dict):
        named = any(isinstance(value.get(key), str) and _KEY.fullmatch(value[key]) for key in ("name", "key"))
        return {
            key: _hidden(one)
            if _KEY.fullmatch(str(key)) or (named and key == "value")
            else values_without_passwords(one)
            for key, one in value.items()
        }
    return value


def _hidden(value: Any) -> Any:
    """`***` for whatever is no container; nothing at all stays nothing."""
    if isinstance(value, list | tuple):
        return [_hidden(one) for one in value]
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    return value if value is None or value == "" else HIDDEN


def _items(items: Sequence[Any]) -> Iterator[Any]:
    """The items of a list, which may be the arguments of a command."""
    tool, before = "", ""
    for item in items:
        word = item if isinstance(item, str) else ""
        if _FLAG_ITEM.fullmatch(before) or (tool == "sshpass" and before in ("-p", "-vp")):
            yield _hidden(item)
        elif tool in ("sshpass", "mysql") and re.match(r"-p.", word):
            yield f"-p{HIDDEN}"
        elif tool == "curl" and before in ("-u", "--user", "--proxy-user") and ":" in word:
            yield f"{word.partition(':')[0]}:{HIDDEN}"
        else:
            yield values_without_passwords(item)
        name = word.rpartition("/")[2]
        # Behind the options of sshpass stands another command, whose -p is a port.
        name = "mysql" if re.fullmatch(_MYSQL_TOOL, name) else name
        tool = (
            name if name in ("sshpass", "curl", "mysql") else "" if tool == "sshpass" and _ends(word, before) else tool
        )
        before = word


def _ends(word: str, before: str) -> bool:
    return not word.startswith("-") and before not in ("-f", "-d", "-P", "-p", "-vp")

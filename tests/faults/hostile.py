"""Names that try to leave their folder, in every spelling that some system somewhere understands."""

from __future__ import annotations

CANARY = "the-canary-that-no-answer-may-hold"

_UP = "../" * 8
PLAIN = [
    "..", ".", "/", "//", "...", "....//....//", "~", "~root", "~/.ssh/id_rsa",
    f"{_UP}secret.txt", f"a/{_UP}secret.txt", "/etc/passwd", "//server/share/a", "file:///etc/passwd",
    "..\\..\\..\\secret.txt", "a\\..\\..\\secret.txt", "C:\\Windows\\win.ini", "C:secret.txt", "c:/secret.txt",
    "\\\\server\\share\\a", "\\\\?\\C:\\secret.txt", "\\\\.\\PhysicalDrive0",
    "secret.txt\0.png", "\0", "a\0b", "a\nb", "a\rb", "a\tb", "\x1b[31m", "\u202egnp.txt",
    "CON", "con.txt", "NUL", "aux.safetensors", "COM1", "LPT9.png", "a.", "a ", " a", "a::$DATA", "a:b",
    ".hidden", ".git/config", "-rf", "--help", "$(id)", "`id`", "%HOME%", "${HOME}", "*", "?", "[a]", "<a>",
    '"', "'", "|",
    "\uff0e\uff0e/secret.txt", "..\uff0fsecret.txt", "..\u2215secret.txt", "e\u0301", "\u212a", "x" * 300, "x" * 5000,
]  # fmt: skip
ENCODED = [
    "%2e%2e%2f%2e%2e%2fsecret.txt", "..%2f..%2fsecret.txt", "%252e%252e%252fsecret.txt", "..%252f..%252fsecret.txt",
    "..%5c..%5csecret.txt", "%5c%5cserver%5cshare", "..%c0%afsecret.txt", "%2fetc%2fpasswd", "secret.txt%00.png",
    "%e0%80%aesecret", "..;/secret.txt", "%2e%2e;/secret.txt", "%ff%fe",
]  # fmt: skip
"""For addresses: as they are written there."""

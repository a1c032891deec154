"""What must not stay in a query that is logged: numbers of phones, identity cards and bank cards, and e-mails. Pure."""

import re
import unicodedata

# Digits in groups: 138 1234 5678, 138-1234-5678.
_GAP = r"[\s\-.·]?"
_MOBILE = rf"1[3-9]\d(?:{_GAP}\d){{8}}(?!{_GAP}\d)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+", re.ASCII), "[email]"),
    # Accounts by which people are reached: QQ:12345678, 微信号 abc_123.
    (
        re.compile(r"(?:微信号?|wechat|weixin|qq号?|vx)[\s:=号是]*[a-z0-9][\w\-]{4,}", re.ASCII | re.I),
        "[account]",
    ),
    # A mobile number with the country's code; then any longer run of digits, such as an identity card's (its last may
    # be an X) or a bank card's; then mobile numbers without.
    (re.compile(rf"(?<!\d)(?:\+|00)86{_GAP}{_MOBILE}", re.ASCII), "[phone]"),
    (re.compile(rf"(?<!\d)\d(?:{_GAP}\d){{13,}}x?", re.ASCII | re.I), "[number]"),
    (re.compile(rf"(?<!\d)(?:86{_GAP})?{_MOBILE}", re.ASCII), "[phone]"),
    # A land line: area code and seven or eight digits.
    (re.compile(r"(?<!\d)\(?0\d{2,3}\)?[\s\-]?\d{7,8}(?!\d)", re.ASCII), "[phone]"),
)


def scrubbed(text: str) -> str:
    """The text in NFKC with what points at a person replaced by what it was: 送到[phone].

    Digits count as grouped by blanks, dashes and dots. Names and addresses can't be told from products: what a report
    shows must come from several users (see the reports' least number of buckets).
    """
    text = unicodedata.normalize("NFKC", text)
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return text

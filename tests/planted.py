"""Sentences with private data, and sentences that only look so; none of it is anyone's.

What a secret scanner would take for a key is put together when this is imported.
"""

# ruff: noqa: E501, RUF001  (lines of sentences, some of them Chinese)

import base64
import json
import random

_RANDOM = random.Random(7)
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_DIGITS = "0123456789"
_HEX = _DIGITS + "abcdef"


def made(count: int, alphabet: str = _UPPER + _LOWER + _DIGITS) -> str:
    """So many characters by chance, a letter, a digit and a capital among them where there are."""
    body = "".join(_RANDOM.choice(alphabet) for _ in range(count - 2))
    return body[:4] + alphabet[-1] + body[4:] + alphabet[0]


def _checked(number: str) -> str:
    """Digits with their check digit by Luhn's formula."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return number + str(-total % 10)


def _grouped(number: str, *groups: int, by: str = " ") -> str:
    parts, at = [], 0
    for size in groups:
        parts.append(number[at : at + size])
        at += size
    return by.join(parts)


def _card(start: str, length: int) -> str:
    body = "".join(_RANDOM.choice(_DIGITS) for _ in range(length - 1 - len(start)))
    return _checked(start + body)


def _iban(country: str, account: str) -> str:
    """An account number with its two check digits (ISO 7064, modulo 97)."""
    letters = {c: str(10 + i) for i, c in enumerate(_UPPER)}
    number = "".join(letters.get(c, c) for c in account + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


def _jwt() -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": "17", "n": 1}), made(43)])


def _block(kind: str) -> str:
    body = "\n".join(made(64) for _ in range(4))
    dashes = "-" * 5
    return f"{dashes}BEGIN {kind}{dashes}\n{body}\n{dashes}END {kind}{dashes}"


_EMAILS = (
    """
jane.doe@example.com|m.mueller@uni-mainz.de|taro+lists@mail.example.co.jp|o'neill@firm.ie
info@bücher.example|anna_k@posteo.net|j@x.io|sales-team@shop.example.com.br|üwe.groß@firma.de
first.last@sub.dept.agency.gov|UPPER.CASE@EXAMPLE.ORG|a1b2c3@students.example.edu|x_y@z.museum
пётр@почта.рф|root@server01.example.net|kontakt@beispiel.at|li.wei@qq.com|r.singh@company.in
maria.lopez@correo.example.mx|jean-luc@exemple.fr|n.o.reply@mailer.example.io|ops@my-host.cloud
karin@företag.se|office@example.co.uk|hello.world@dev.example.app|b.k@xn--bcher-kva.example
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

_INTERNATIONAL = (
    """
+1 212-555-0187|+44 20 7946 0958|+49 30 901820|+33 1 42 68 53 00|+34 912 345 678|+39 06 698 12345
+81 3-1234-5678|+86 138 1234 5678|+91 98765 43210|+55 11 98765-4321|+61 2 9374 4000|+7 912 345-67-89
+31 20 123 4567|+41 44 668 18 00|+48 22 123 45 67|+46 8 123 456 78|+353 1 234 5678|+27 11 123 4567
+971 4 123 4567|+82 2-312-3456|+12125550187|+442079460958|0044 20 7946 0958|+1 (555) 123-4567
+4915112345678
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_NATIONAL = (
    """
(212) 555-0187|415-555-0132|555-123-4567|020 7946 0958|01 42 68 53 00|(11) 98765-4321|03-1234-5678
098765 43210|0412 345 678|030 901820|06 12345678|010-1234-5678|089/12345678|(02) 9374 4000
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_SAID = (
    """
Tel. {030/901820} (mornings)|Phone: {555 0187}.|Fax {912 345 678}, Madrid|Call me at {5550187} today
Telefon: {0151 23456789}|Tél. : {04.93.12.34.56}|mobile number is {9876543210}|WhatsApp: {612 345 678}
Phone {8 800 555 35 35}|Teléfono {91 345 67 89}|手机：{13812345678}|Тел.: {8 (495) 123-45-67}
Just dial {1-800-555-0199} now.|电话：{010-12345678}|phone no. {٠٥٠١٢٣٤٥٦٧}
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

_IBANS = [
    "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR14 2004 1010 0505 0001 3M02 606",
    "NL91 ABNA 0417 1643 00", "MT84MALT011000012345MTLCAST001S", "NO93 8601 1117 947",
    _iban("DE", "500105175407324931"), _iban("DE", "100500000123456789"),
    _iban("AT", "1904300234573201"), _iban("CH", "00762011623852957"), _iban("ES", "21000418450200051332"),
    "BE68 5390 0754 7034", "ES91 2100 0418 4502 0005 1332", "IT60 X054 2811 1010 0000 0123 456",
    "PL61109010140000071219812874", "SE45 5000 0000 0583 9825 7466", "PT50000201231234567890154",
    "IE29 AIBK 9311 5212 3456 78", "DK50 0040 0440 1162 43", "FI21 1234 5600 0007 85",
    "SA03 8000 0000 6080 1016 7519", "AE07 0331 2345 6789 0123 456", "GR16 0110 1250 0000 0001 2300 695",
    "TR33 0006 1005 1978 6457 8413 26", "CZ65-0800-0000-1920-0014-5399", "de89 3704 0044 0532 0130 00",
]  # fmt: skip

_CARDS = [
    "4111 1111 1111 1111", "5555555555554444", "378282246310005", "3782 822463 10005",
    "6011 1111 1111 1117", "3530 1113 3330 0000", "30569309025904", "3056 930902 5904",
    *(_card("4", 16) for _ in range(4)), *(_grouped(_card("4", 16), 4, 4, 4, 4) for _ in range(4)),
    *(_grouped(_card("53", 16), 4, 4, 4, 4, by="-") for _ in range(3)), _card("2221", 16),
    _card("2720", 16), _card("34", 15), _grouped(_card("37", 15), 4, 6, 5), _card("6221", 16),
    _grouped(_card("65", 16), 4, 4, 4, 4), _card("2200", 16), _card("36", 14), _card("6759", 16),
]  # fmt: skip

_IPS = [
    "151.101.1.69", "93.184.216.34", "52.95.110.1", "185.199.108.153", "84.17.44.12", "31.13.64.35",
    "142.250.185.78", "104.16.132.229", "20.112.52.29", "91.198.174.192", "217.160.0.13",
    "128.30.52.100", "66.249.66.1", "77.88.55.88", "114.114.114.114", "200.147.3.157",
    "2a00:1450:4001:82a::200e", "2606:2800:220:1:248:1893:25c8:1946", "2a02:26f0:6c00::210:ba1b",
    "2001:4860:4860::8888", "2620:fe::fe", "2400:cb00:2048:1::c629:d7a2", "2a01:4f8:c17:b8f::2",
]  # fmt: skip
_SAID_IPS = (
    """
ping {8.8.8.8} twice|The IP address is {1.2.3.4}.|DNS server {1.1.1.1} answers|ssh root@{5.9.10.22}
http://{151.101.1.69}:8080/x|requests from {9.9.9.9} were slow
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

_KEYS = [
    "AKIA" + made(16, "ABCDEFGHIJKLMNOP2345"), "ghp_" + made(36), "gho_" + made(36),
    "github_pat_" + made(22) + "_" + made(59), "glpat-" + made(20), "hf_" + made(34),
    "sk-" + made(48), "sk-proj-" + made(60), "sk-ant-api03-" + made(80), "gsk_" + made(52),
    "xoxb-" + made(12, _DIGITS) + "-" + made(12, _DIGITS) + "-" + made(24),
    "sk_live_" + made(24), "rk_test_" + made(24), "whsec_" + made(32), "AIza" + made(35),
    "ya29." + made(60), "SG." + made(22) + "." + made(43), "npm_" + made(36),
    "dop_v1_" + made(64, _HEX), "shpat_" + made(32, _HEX), "pypi-AgEI" + made(70),
    "123456789:AA" + made(33), "hvs." + made(24), _jwt(), _block("RSA PRIVATE KEY"),
    _block("PRIVATE KEY"), _block("OPENSSH PRIVATE KEY"), _block("PGP PRIVATE KEY BLOCK"),
]  # fmt: skip
_ASSIGNED = [
    f'password = "{{{"k7#Rq!" + made(6)}}}"', f"DB_PASSWORD={{{made(14)}}}\nDB_USER=app",
    f'"client_secret": "{{{made(32)}}}",', f"aws_secret_access_key = {{{made(40)}}}",
    f"api_key: {{{made(32, _HEX)}}}", f"apiKey='{{{made(28)}}}';", f"My password is {{{made(11)}}}.",
    f"Authorization: Bearer {{{made(40)}}}", f"postgres://app:{{{made(12)}}}@db.internal:5432/x",
    f"export GITHUB_TOKEN={{{made(30)}}}", f"secret => '{{{made(20)}}}'", f"Passwort: {{{made(10)}}}",
    f"AccountKey={{{made(40) + '=='}}};EndpointSuffix=core", f"pwd: {{{'Zx9!' + made(8)}}}",
]  # fmt: skip

_SENTENCES = (
    "Please write to {} before Monday.",
    "{} is what the form said.",
    "We noted ({}) and went on, as the 3 of them had asked in 2019.",
    "It ends with: {}",
    "- first line\n- {}\n- last line",
)


def _planted(values: list[str]) -> list[tuple[str, str]]:
    return [(_SENTENCES[i % len(_SENTENCES)].format(v), v) for i, v in enumerate(values)]


def _marked(sentences: list[str]) -> list[tuple[str, str]]:
    found = []
    for sentence in sentences:
        start, end = sentence.index("{"), sentence.rindex("}")
        value = sentence[start + 1 : end]
        found.append((sentence[:start] + value + sentence[end + 1 :], value))
    return found


TRUE: dict[str, list[tuple[str, str]]] = {
    "email": _planted(_EMAILS),
    "phone": _planted(_INTERNATIONAL + _NATIONAL) + _marked(_SAID),
    "iban": _planted(_IBANS),
    "card": _planted(_CARDS),
    "ip": _planted(_IPS) + _marked(_SAID_IPS),
    "key": _planted(_KEYS) + _marked(_ASSIGNED),
}
"""Kind -> sentences, each with the value in it that is private."""

_LINES = {
    "email": """
The decorator @app.route("/") maps a URL.|Follow @jane_doe on the site.|user@host is not complete
Clone git@github.com:user/project.git first.|The logo is icon@2x.png in the folder.|a @ b is a matmul
Meet me @ 5.30 pm|at 3 @ $4.50 each|foo@bar has no top level|See package@1.2.3 and react@18.2.0
import numpy as np; C = A@B.T @ x|npm install @types/node@20.1.0|https://medium.com/@writer/post
ssh user@localhost -p 22|The @media rule in CSS|email@ is how it begins|@@ -1,7 +1,7 @@ is a hunk
mail to name at example dot com|java.lang.Object@1b6d3586|$@ holds the arguments|E-Mail: none yet
The symbol @ is called an at sign.|ftp://john:pw@files.example.com/x|@property def area(self)
user@[192.168.1.1] is old style|x@@y.com is broken
""",
    "phone": """
Order 4711-0815-2342 was shipped.|ISBN 978-0-306-40615-7 is a book.|ISBN-10: 0-306-40615-2
From 1914-1918 and 1939-1945 there was war.|On 2024-03-15 10:30:00 it ran.|It costs 1 234 567 890 won.
Pi is 3.14159265358979.|Add 100 200 300 400 500 up.|The years 1990 1995 2000 2005 count.
Serial no. 020-7946-0958 is on the box.|SSN 123-45-6789 is American.|population of 1,234,567,890
Version 2.10.3.4567 fixes it.|commit 1234567890123456|timestamp 1700000000|1700000000000 ms passed
seed=1234567890|2 + 2 - 1 - 1 + 12 - 30 = 5|12/25/2023 12/31/2023|(1, 2, 3, 4, 5, 6, 7, 8, 9)
doi:10.1000/123456789|lat 52.5200066, long 13.4049540|0.123456789 of it|0 1 1 2 3 5 8 13 21 34
The scores were 10-12 14-16 11-13 in the end.|Invoice number: 030 901820|ticket 555-123-4567
0x0012345678|00:01:02,500 --> 00:01:05,250|$1 000 000 000 was paid|300 000 000 m per second
The code 0000000000 is void.|2019-2020, 2020-2021|pages 123-130, 1234567|1234567 people voted
int x = 1234567890;|1.000.000.000 Euro|010101010101|ratio 16/9 4/3 21/9 1/1
The array [1024, 2048, 4096, 8192] fits.|GET /items/1234567890 failed|#1234567890 was merged
case no. 12-345-6789|phone models 3310 and 6310 sold|He called 300 people in 2012, 400 in 2013.
x = 123-456+7890|10.1109/5.771073 is the DOI|UTC+0530 2024-01-01|9 8 7 6 5 4 3 2 1 0 lift off
Call us on 12/05/2024 at the latest.|We can reach 2019-2020 at best|0.25-0.50-0.75-1.00|Table 4: 120 340 560 780 910|The ID is 00012345678|08.05.1945 - 02.09.1945
Route 66, 1926-1985, 2448 miles (3940 km)|1 000 000 000|NGC 7000 and 6888 in 2019
""",
    "iban": """
GB83 WEST 1234 5698 7654 32|DE88370400440532013000|FR15 2004 1010 0505 0001 3M02 606|DE89 3704 0044
commit de89370400440532013000ffffeeee11112222|part AB12 3456 7890 1234|IBAN: none
US64 SVBK US6S 3300 9586 73X|the code IT60 X054 2811|NL91ABNA0417164301|XX82 1234 5698 7654 3212
SHA1 da39a3ee5e6b4b0d3255bfef95601890afd80709|md5 d41d8cd98f00b204e9800998ecf8427e|ISO27001 2022
VIN WAUZZZ8K9AA123456|AB12CD34EF56GH78IJ90|route BR101 and PR92 and BE10|CH93 0076 2011 6238 5295 8
MH370 departed at 0042|iOS17 and iPad15 2021 12|ES91 2100 0418 4502 0005 1333|PL61109010140000071219812875
No. SE45 5000 0000 0583 9825 7465|GTIN 04012345123456|RFC2822 and RFC5322 2008 10|ID00 1234 5678 9012 3456
tracking RR123456785CN|BE68 5390 0754 7035|AT61 1904 3002 3457 3202
""",
    "card": """
Order 4111 1111 1111 1112 came.|1234 5678 9012 3456 is a made-up number|ISBN 9780306406157
0.4111111111111111 of all|1111222233334444|4111-1111-1111-1113|timestamp 1700000000000000
IMEI 490154203237518|commit 4111111111111111abcdef|x4111111111111111|ID 9876543210987654
EAN 4006381333931|4000 BC and 3000 BC and 2000 BC|5555 5555 5555 5555|3782 822463 10006
6011 1111 1111 1116|long 13.404954123456789012|pi 3141592653589793|e 2718281828459045
2^64 is 18446744073709551616|account 0000 0000 0000 0000|378282246310006 no|tracking 1Z9999W99999999999
uuid 41111111-1111-4111-8111-111111111111|4111 11111111 1111|4111 1111-1111 1111|1999 2000 2001 2002
3333 4444 5555 6666|binary 0101 1100 0011 1010|part 3782-822463|fib 144 233 377 610 987 1597
""",
    "ip": """
version 1.2.3.4 is out|localhost is 127.0.0.1|at 192.168.0.10 in the LAN|10.0.0.1 is private
172.16.5.4 is too|169.254.169.254 gives metadata|0.0.0.0 listens|mask 255.255.255.0|see 4.3.2.1
documentation uses 192.0.2.44 and 203.0.113.9|198.51.100.7 likewise|224.0.0.251 is multicast
Chrome/115.0.0.0 Safari/537.36|v10.0.19041.1|assembly 4.0.30319.42000|256.300.1.2 is not one
Section 12.4.3.1 says|the OID 1.3.6.1.4.1.311|fe80::1 is local|::1 is loopback|2001:db8::ff00:42:8329
std::vector<int> v|at 12:34:56 today|MAC 00:1a:2b:3c:4d:5e|fd12:3456:789a::1|abc::def is C++
python==3.11.4.1|Driver version 31.0.15.3623|release 21.04.16.9 of it|01.02.03.04|1.2.3.4.5.6
the examples of 3fff:1:2::7 and 3fff::1|2024:05:11 10:20:30|ratio 2000:1000:500|pip install foo==104.16.132.229
""",
    "key": """
password = "password"|password: changeme|secret = os.environ["SECRET"]|password=getpass.getpass()
token: str = None|max_tokens=4096|api_key=YOUR_API_KEY|the password must have at least 8 characters
commit 9fceb02d0ae598e95dc970b74767f19372d61af8|sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c
sk-learn is not scikit-learn|risk-free-and-task-oriented-approach-to-all-of-it|desk-1234 by the window
key: the_name_of_the_column|primary_key=customer_id|"token": "<your-token-here>"|secret: ${SECRET_VALUE}
uuid 550e8400-e29b-41d4-a716-446655440000|The secret is to listen.|public key infrastructure|hf_model
api_key = config["api_key"]|password_hash = bcrypt.hash(pw)|pk_live is a prefix|The key is under the mat.
password = input("Password: ")|token = tokenizer.encode(text)|sort(key=lambda x: x[1])|secret: sauce
AKIA is how they begin|ghp_xxxx is short|export TOKEN=$TOKEN|eyJ is base64|Bearer of bad news|xoxb-1
def f(password: str, token: Optional[str] = None)|password: ********|Bearer YOUR_ACCESS_TOKEN_GOES_HERE
https://user:password@example.com/|access_token=access_token|key=value|"key": "2024-01-15T10:30:00"
token = b64decode9x(raw)|the column 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|private_key = load_private_key(path)|keyboard: qwertyuiop|passwords: see chapter 12|secret: 20240115
""",
}
LOOKALIKES: dict[str, list[str]] = {
    kind: lines.replace("\n", "|").strip("|").split("|") for kind, lines in _LINES.items()
}
"""Kind -> sentences in which there is nothing of that kind, though it looks so."""
_DASHES = "-" * 5
LOOKALIKES["key"] += [
    f"{_DASHES}BEGIN PUBLIC KEY{_DASHES}\n{made(64)}\n{_DASHES}END PUBLIC KEY{_DASHES}",
    f"A file starts with {_DASHES}BEGIN PRIVATE KEY{_DASHES} and a line.",
]

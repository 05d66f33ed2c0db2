"""Text that tries to break whatever shows it.

What runs as a script sets `window.pwned`, and what loads over the network asks `evil.invalid`, so that a browser test
need only look for these two.
"""

from __future__ import annotations

RAN = "window.pwned=1"

NAMED: dict[str, str] = {
    # HTML and scripts
    "script": f"<script>{RAN}</script>",
    "script end": f"</script><script>{RAN}</script>",
    "script end in json": f'"}};</script><script>{RAN}//',
    "style end": f"</style><script>{RAN}</script><style>*{{display:none}}",
    "title end": f"</title></head><body onload={RAN}>",
    "img onerror": f'<img src="https://evil.invalid/x.png" onerror="{RAN}">',
    "svg onload": f"<svg/onload={RAN}>",
    "details ontoggle": f"<details open ontoggle={RAN}>",
    "attribute end double": f'" onmouseover="{RAN}" autofocus onfocus="{RAN}" x="',
    "attribute end single": f"' onclick='{RAN}' style='position:fixed;inset:0' '",
    "attribute unquoted": f"x onclick={RAN} tabindex=0",
    "iframe": '<iframe src="https://evil.invalid/"></iframe>',
    "javascript url": f"javascript:{RAN}",
    "javascript url in disguise": f"java\tscript:{RAN}",
    "data url": f"data:text/html,<script>{RAN}</script>",
    "meta refresh": '<meta http-equiv="refresh" content="0;url=https://evil.invalid/">',
    "base": '<base href="https://evil.invalid/">',
    "table end": "</td></tr></table><h1>taken over</h1>",
    "html comment": "<!-- hidden",
    "html comment end": "--> <b>shown</b> <!--",
    "html comment end in html": f"--!><script>{RAN}</script>",
    "script double escape": "<!--<script>",
    "cdata": f"<![CDATA[<script>{RAN}</script>]]>",
    "entities": "&lt;b&gt; &amp; &#60;script&#62; &quot; &nbsp",
    "css": "}*{background:url(https://evil.invalid/)}",
    # Markdown
    "markdown link": f"[here](javascript:{RAN})",
    "markdown image": "![x](https://evil.invalid/x.png)",
    "markdown pipes": "a | b || c | --- | \\| d",
    "markdown fence": "```\nfence\n```",
    "markdown tildes": "~~~\nfence",
    "markdown emphasis": "**bold** __bold__ *x* _x_ `code` ``",
    "markdown heading": "# Heading\n\n- list\n> quote\n\n***",
    "markdown autolink": "<https://evil.invalid/> https://evil.invalid/ www.evil.invalid @everyone #1",
    "markdown reference": "[x]: https://evil.invalid/ 'x'",
    # LaTeX
    "latex input": r"\input{/etc/passwd}\write18{id}",
    "latex end": r"\end{tabular}\end{document}",
    "latex specials": r"# $ % ^ & _ { } ~ \ \\ x^2_3",
    "latex comment": "100% of it",
    "mathtext open": r"$\frac{1}{$",
    "mathtext unknown": r"$\notacommand{x}$ and $$",
    "caret control": "^^5cinput ^^M",
    # CSV formulas
    "csv equals": '=HYPERLINK("https://evil.invalid/","x")',
    "csv plus": "+1+1",
    "csv minus": "-2+3",
    "csv at": "@SUM(1,1)",
    "csv dde": "=cmd|' /C calc'!A0",
    "csv tab": "\t=1+1",
    "csv carriage return": "\r=1+1",
    "csv quotes": 'a"b,c;d\n"=1+1"',
    "csv full width": "\uff1d1+1",
    # Unicode
    "right to left override": "\u202egnp.exe\u202c \u2066x",
    "unended isolates": "\u2067\u2067\u202b\u202a",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 abc",
    "zero width": "mod\u200bel\u200d-\ufeffa\u2060",
    "invisible only": "\u200b\u200d\u2060",
    "combining stack": "Z" + "\u0310\u0321\u0353\u0489" * 60,
    "homoglyph": "\u0430dmin",
    "line separators": "a\u2028b\u2029c\u0085d",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f3f3\ufe0f\u200d\U0001f308",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "wide": "\ufdfd" * 20 + "\U00012031",
    "chinese": "\u6a21\u578b\u540d\u79f0\u306e\u30e2\u30c7\u30eb",
    # Control characters
    "nul": "a\x00b",
    "controls": "".join(chr(code) for code in range(1, 32)) + "\x7f\x80\x9f",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "backspaces": "safe\b\b\b\bevil",
    "newlines": "first\nsecond\r\nthird\rfourth",
    "spaces only": "   ",
    "rich markup": "[bold red]x[/] [link=https://evil.invalid/]y[/link] [/nothing]",
    # Length
    "long": "x" * 10_000,
    "long words": "word " * 2_000,
    "long tags": "<b>" * 3_334,
    # JSON and YAML
    "json end": '"}],"x":[{"',
    "json escapes": '\\u003cscript\\u003e \\" \\\\ \\',
    "prototype": "__proto__",
    "constructor": "constructor",
    "yaml document": "---\nname: other\n---\n",
    "yaml document end": "...\n--- !!binary x",
    "yaml key": "a: b: c",
    "yaml tag": "!!python/object/apply:os.system ['id']",
    "yaml alias": "*anchor &anchor",
    "yaml flow": "{a: [b, 'c\"",
    "yaml norway": "no",
    "yaml null": "~",
    "yaml number": "1e3",
    "yaml percent": "%YAML 1.1",
    # Templates and formats
    "jinja": "{{ 7*7 }}{{ config }}{% for x in y %}{# x #}",
    "jinja end": "{% endblock %}{% raw %}",
    "percent format": "%s %d %(name)s %n",
    "brace format": "{0} {} {name!r} {",
    "js template": "${alert(1)}`",
    "dollar amount": "$& $1 $` $'",
    # Paths
    "path up": "../../../../etc/passwd",
    "path up windows": "..\\..\\windows\\system32",
    "path absolute": "/etc/passwd",
    "path device": "CON.txt:stream",
}  # fmt: skip
"""What it tries -> the string."""

HOSTILE: tuple[str, ...] = tuple(NAMED.values())
HOSTILE_IDS: tuple[str, ...] = tuple(name.replace(" ", "_") for name in NAMED)
"""For `pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)`."""

assert len(HOSTILE) == len(set(HOSTILE)) >= 40

#!/usr/bin/env python3
"""Turns what a command prints on a terminal into an SVG picture, so that the README's picture is the program's own output.

Usage: script -qec "stty cols 80; COMMAND" /dev/null | docs/terminal-picture.py [--rows FROM-TO,..] [--title TEXT] > docs/NAME.svg
"""
import argparse
import html
import re
import sys

CELL_WIDTH, LINE_HEIGHT, MARGIN, BAR = 8.4, 19, 16, 34
BACKGROUND, FOREGROUND = "#10151c", "#d8dee9"
COLOURS = {30: "#4c566a", 31: "#e06c75", 32: "#98c379", 33: "#e5c07b", 34: "#61afef", 35: "#c678dd", 36: "#56b6c2", 37: "#d8dee9"}
COLOURS.update({code + 60: colour for code, colour in list(COLOURS.items())})
COLOURS[90] = "#7f8898"
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="keep these lines only, e.g. 3-40,52 (1 = first)")
    parser.add_argument("--title", default="cormorant")
    args = parser.parse_args()
    lines = [settle(line) for line in sys.stdin.read().replace("\r\n", "\n").rstrip("\n").split("\n")]
    if args.rows:
        lines = [line for part in args.rows.split(",") for line in chosen(lines, part)]
    print(picture(lines, args.title))


def chosen(lines, part):
    first, _, last = part.partition("-")
    return lines[int(first) - 1 : int(last or first)]


def settle(line):
    """What a line shows in the end: a carriage return or an erased line begins it anew."""
    return re.split(r"\r|\x1b\[2K", line.rstrip("\r"))[-1]


def picture(lines, title):
    columns = max([80, *(len(ESCAPE.sub("", line)) for line in lines)])
    width, height = columns * CELL_WIDTH + 2 * MARGIN, len(lines) * LINE_HEIGHT + BAR + MARGIN
    rows = "\n".join(text_row(line, BAR + MARGIN + place * LINE_HEIGHT) for place, line in enumerate(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>\n'
        f'<text x="{width / 2:.0f}" y="22" text-anchor="middle" fill="#7f8898" font-family="sans-serif" font-size="13">{html.escape(title)}</text>\n'
        f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14" fill="{FOREGROUND}">\n'
        f"{rows}\n</g>\n</svg>"
    )


def text_row(line, y):
    """One line; each word is placed on the grid, so that every font keeps the columns."""
    spans, column = [], 0
    for style, text in runs(line):
        for word in re.finditer(r"\S+", text):
            x, width = MARGIN + (column + word.start()) * CELL_WIDTH, len(word.group()) * CELL_WIDTH
            spans.append(f'<tspan x="{x:.1f}" textLength="{width:.1f}"{style}>{html.escape(word.group())}</tspan>')
        column += len(text)
    return f'<text y="{y}">{"".join(spans)}</text>'


def runs(line):
    """(attributes, text) for each stretch of one style."""
    colour, bold, dim, place = None, False, False, 0
    for match in ESCAPE.finditer(line):
        if match.start() > place:
            yield attributes(colour, bold, dim), line[place : match.start()]
        place = match.end()
        if match.group(2) != "m":
            continue
        # Colours 0 to 7 of the large palette are those of the small one.
        codes = re.sub(r"38;5;([0-7])(?!\d)", r"3\1", match.group(1))
        for code in [int(part or 0) for part in codes.split(";")]:
            if code == 0:
                colour, bold, dim = None, False, False
            elif code == 1:
                bold = True
            elif code == 2:
                dim = True
            elif code == 22:
                bold = dim = False
            elif code == 39:
                colour = None
            elif code in COLOURS:
                colour = COLOURS[code]
    if place < len(line):
        yield attributes(colour, bold, dim), line[place:]


def attributes(colour, bold, dim):
    fill = f' fill="{colour}"' if colour else ' fill="#7f8898"' if dim else ""
    return fill + (' font-weight="bold"' if bold else "")


if __name__ == "__main__":
    main()

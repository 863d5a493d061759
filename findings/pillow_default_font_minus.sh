#!/usr/bin/env bash
# Pillow 13.0.0: the built-in scalable font has no minus sign (U+2212), and draws a box in its place without a word.
#
# Guess: a font that ships with an imaging library for text of any size has the signs of arithmetic.
# Seen: `ImageFont.load_default(size)` has digits, hyphen and plus-minus (U+00B1); U+2212 is the box of a missing glyph, so
# "T -1.9" with a true minus is shown as "T [box]1.9", which says less than nothing. No error, no warning.
# bmd_edge/clinic/objects/panel.py writes the hyphen; a test looks for letters that the font lacks.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check Pillow==13.0.0
"$place/env/bin/python" - <<'PY'
import sys

from PIL import Image, ImageDraw, ImageFont

font = ImageFont.load_default(40)


def drawn(letter):
    image = Image.new("L", (60, 60))
    ImageDraw.Draw(image).text((5, 5), letter, font=font, fill=255)
    return image.tobytes()


missing = drawn("\U0010fffe")  # a noncharacter: no font has it
found = {name: drawn(letter) == missing for name, letter in
         {"hyphen": "-", "plus-minus": "\u00b1", "minus sign": "\u2212"}.items()}
print("drawn as the box of a missing glyph:", found)
same = found == {"hyphen": False, "plus-minus": False, "minus sign": True}
print("still so" if same else "changed")
sys.exit(not same)
PY

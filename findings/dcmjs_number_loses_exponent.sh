#!/usr/bin/env bash
# dcmjs 0.51.1: a small number that takes more than 16 characters is written without its exponent, ten million times as
# large or more.
#
# Guess: a decimal string (DS) is shortened to 16 characters by giving up digits, as its writer of values does since 2023.
# Seen: `DicomMetaDictionary.denaturalizeDataset` comes before that writer and cuts the text of the number after its 16th
# character: 1.2345678901234567e-7 is stored and read as 1.23456789012345. A warning on the console says "Truncating
# value"; the file is valid. A number that was read from a file and not touched keeps its text.
# So whoever writes numbers of ours into DICOM with dcmjs rounds them first: `Number(x.toPrecision(6))`, or as many digits
# as the CSV has; and a slope or spacing that a web viewer has written is held against the film it was made from.
# Needs node and npm. Exit 0: still so. Exit 1: changed.
set -euo pipefail
command -v npm > /dev/null || { echo "install node and npm first" >&2; exit 2; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
npm install --silent --no-audit --no-fund dcmjs@0.51.1
cat > round.mjs <<'JS'
import dcmjs from "dcmjs";

const { DicomDict, DicomMessage, DicomMetaDictionary: Names } = dcmjs.data;

function again(number) {
  const file = new DicomDict({ TransferSyntaxUID: { vr: "UI", Value: ["1.2.840.10008.1.2.1"] } });
  file.dict = Names.denaturalizeDataset({ _vrMap: {}, RescaleSlope: number });
  return Names.naturalizeDataset(DicomMessage.readFile(file.write()).dict).RescaleSlope;
}

const given = [0.1 + 0.2, 1.25e-7, 1.2345678901234567e-7, -1.2345678901234567e-10];
const read = given.map(again);
given.forEach((number, k) => console.log(`${number} -> ${read[k]}`));
const same = (k) => Math.abs(read[k] / given[k] - 1) < 1e-9;
const described = same(0) && same(1) && read[2] === 1.23456789012345 && read[3] === -1.2345678901234;
console.log(described ? "as described: the exponent is lost" : "CHANGED");
process.exit(described ? 0 : 1);
JS
node round.mjs

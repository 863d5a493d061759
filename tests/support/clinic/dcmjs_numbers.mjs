// Structured reports as dcmjs reads them, the parser of the viewer OHIF: node dcmjs_numbers.mjs FILE ...
//
// Prints a list of one object for each file: "side site what" -> the number. Run it in a folder with dcmjs installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { data } = createRequire(`${process.cwd()}/`)("dcmjs");
const SITES = { 29627003: "femoral_neck", 310651003: "total_hip" };
const RANGES = { 371886008: ["high", 1], 371885007: ["low", -1] };

const items = (sequence) => (sequence ? [].concat(sequence) : []);
const code = (sequence) => items(sequence)[0]?.CodeValue;
const below = (item, name) => items(item.ContentSequence).find((one) => code(one.ConceptNameCodeSequence) === name);
const all = (item) => [item, ...items(item.ContentSequence).flatMap(all)];

function numbers(group) {
  const laterality = all(group).find((one) => code(one.ConceptNameCodeSequence) === "272741003");
  const side = { 24028007: "R", 7771000: "L" }[code(laterality?.ConceptCodeSequence)] ?? "";
  const found = {};
  for (const one of items(group.ContentSequence).filter((item) => item.ValueType === "NUM")) {
    const site = `${side} ${SITES[code(below(one, "363698007").ConceptCodeSequence)]}`;
    const value = items(one.MeasuredValueSequence)[0];
    const isBmd = code(value.MeasurementUnitsCodeSequence) === "g/cm2";
    found[`${site} ${isBmd ? "bmd" : "t_score"}`] = value.NumericValue;
    for (const [name, [what, sign]] of isBmd ? Object.entries(RANGES) : []) {
      const range = items(below(one, name).MeasuredValueSequence)[0];
      if (code(range.MeasurementUnitsCodeSequence) !== "g/cm2") throw new Error(`the unit of ${name}`);
      found[`${site} ${what}`] = Number((value.NumericValue + sign * range.NumericValue).toFixed(4));
    }
  }
  return found;
}

const read = process.argv.slice(2).map((path) => {
  const { dict } = data.DicomMessage.readFile(new Uint8Array(readFileSync(path)).buffer);
  const report = data.DicomMetaDictionary.naturalizeDataset(dict);
  const groups = all(report).filter((one) => code(one.ConceptNameCodeSequence) === "125007"); // Measurement Group
  return Object.assign({}, ...groups.map(numbers));
});
console.log(JSON.stringify(read));

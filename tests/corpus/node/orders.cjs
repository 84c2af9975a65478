// SPDX-License-Identifier: MIT
// Reads a CSV with quotes and sums it; a CommonJS module.
'use strict';

function* fields(line) {
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g))
    yield quoted === undefined ? plain : quoted.replaceAll('""', '"');
}

exports.handler = ({ csv }) => {
  const [head, ...rows] = csv.trim().split(/\r?\n/).map((line) => [...fields(line)]);
  const objects = rows.map((row, number) => {
    if (row.length !== head.length)
      throw new RangeError(`row ${number + 1} has ${row.length} fields, not ${head.length}`);
    return Object.fromEntries(row.map((value, i) => [head[i], value]));
  });
  const cents = objects.reduce((sum, row) => sum + BigInt(row.price.replace('.', '')), 0n);
  return { rows: objects, cents: cents.toString() };
};

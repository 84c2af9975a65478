// SPDX-License-Identifier: MIT
// A script: it exports nothing, its event is the file that argv names, its exit code counts.
const { readFileSync } = require('fs');
const event = JSON.parse(readFileSync(process.argv[2], 'utf8'));
if (!Array.isArray(event.rows)) {
  console.error('usage: {"rows": [...]}');
  process.exit(64);
}
const width = Math.max(...event.rows.map(([name]) => name.length));
console.error(`${event.rows.length} rows`);
for (const [name, value] of event.rows)
  console.log(`${name.padEnd(width)} ${String(value).padStart(6)}`);

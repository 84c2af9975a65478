// SPDX-License-Identifier: MIT
// Says what it does on stdout and stderr, which are not its answer; exits on demand.
import { writeSync } from 'node:fs';

export const handler = async ({ steps, exit }) => {
  for (let step = 0; step < steps; step++)
    console.log('step', step);
  console.error('half way');
  writeSync(2, 'by descriptor\n');
  if (exit !== undefined)
    process.exit(exit);
  process.stdout.write('the end, without a newline');
  return { steps };
};

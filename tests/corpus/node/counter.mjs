// SPDX-License-Identifier: MIT
// State of the module: calls of one VM find what those before have left.
let calls = 0;
const recent = new Map();

export function handler({ key }) {
  const hit = recent.delete(key);
  recent.set(key, ++calls);
  if (recent.size > 2)
    recent.delete(recent.keys().next().value);
  return { calls, hit, kept: [...recent.keys()] };
}

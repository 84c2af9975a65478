// SPDX-License-Identifier: MIT
// Promises side by side, timers and an iterator that waits; also as they fail.
import { setTimeout as wait } from 'node:timers/promises';

class NoSuchCity extends Error {
  name = 'NoSuchCity';
}

async function* numbers(upTo) {
  for (let number = 1; number <= upTo; number++)
    yield wait(1, number);
}

export const handler = async ({ cities = [], upTo = 0 }) => {
  const lengths = await Promise.all(cities.map(async (city) => {
    if (city === 'Atlantis')
      throw new NoSuchCity(city, { cause: new Error('it sank') });
    return wait(1, city.length);
  }));
  let sum = 0;
  for await (const number of numbers(upTo))
    sum += number;
  const settled = await Promise.any([Promise.reject(new Error()), wait(1, 'any')]);
  return { lengths, sum, settled };
};

// SPDX-License-Identifier: MIT
// Calls a handler of Node with one event after the other, as plainly as that can be done.
// Arguments: the code, FILE.EXPORT or "", a file for the answers, files of events.
import { appendFileSync, readFileSync } from 'node:fs';

const [code, name, answers, ...events] = process.argv.slice(2);
const [module, exported] = name.split('.');
const loaded = await import(module ? `${code}/${module}.js` : code);
const all = { ...loaded.default, ...loaded };
const handler = all[exported ?? 'handler'] ?? loaded.default;
const { NOVA_FUNCTION_NAME: functionName, NOVA_FUNCTION_MEMORY_MB: memoryLimitInMB } = process.env;
const context = {
  functionName, memoryLimitInMB, functionVersion: '$LATEST', awsRequestId: 'host',
  invokedFunctionArn: `nova:function:${functionName}`, getRemainingTimeInMillis: () => 1,
};

const call = (event) => (handler.length < 3 ? handler(event, context) :
  new Promise((resolve, reject) => {
    handler(event, context, (error, value) => (error ? reject(error) : resolve(value)));
  }));

for (const path of events) {
  let answer;
  try {
    answer = { output: await call(JSON.parse(readFileSync(path, 'utf8'))) ?? null };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  appendFileSync(answers, `${JSON.stringify(answer)}\n`);
}

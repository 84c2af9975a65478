// SPDX-License-Identifier: MIT
// Runs what its events say, one after the other in one process: what code leaves in memory is there
// for the code after it. modes.c registers it.
'use strict';
const vm = require('vm');

Object.assign(globalThis, { require, module, exports: {} });

const run = (code) => vm.runInThisContext(code, { filename: 'main.js' });

module.exports = {
  handler: async (event) => {
    process.argv = [process.execPath, 'main.js', ...event.args];
    Object.assign(process.env, event.env);
    await run(event.code);
    return event.handler ? (globalThis.exports[event.handler] || run(event.handler))(event.input) :
      null;
  },
};

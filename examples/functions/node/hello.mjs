// SPDX-License-Identifier: MIT
// A handler for Node: an async function that is given the event and Lambda's context.
//
//   novactl register hello-node --runtime node --code hello.mjs
//   novactl invoke hello-node --payload '{"name":"World"}'
let calls = 0; // stays as long as the microVM does

export const handler = async (event, context) => {
  console.log(`request ${context.awsRequestId}, ${context.getRemainingTimeInMillis()} ms left`);
  return {
    message: `Hello, ${event.name ?? 'Anonymous'}!`,
    runtime: 'node',
    calls: ++calls,
  };
};

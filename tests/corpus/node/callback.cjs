// SPDX-License-Identifier: MIT
// The callback of Node's first years, and what the context says.
exports.handler = (event, context, callback) => {
  setImmediate(() => {
    if (event.fails)
      return callback(new TypeError(event.fails));
    const left = context.getRemainingTimeInMillis();
    callback(null, {
      name: context.functionName, version: context.functionVersion,
      memory: context.memoryLimitInMB, arn: context.invokedFunctionArn,
      id: typeof context.awsRequestId, time: left > 0 && left <= 900000,
    });
  });
};

# SPDX-License-Identifier: MIT
"""Written for AWS Lambda: its handler's name, its context."""


def lambda_handler(event, context):
    left = context.get_remaining_time_in_millis()
    return {"statusCode": 200, "name": context.function_name, "version": context.function_version,
            "memory": context.memory_limit_in_mb, "log": context.log_group_name,
            "arn": context.invoked_function_arn, "id": bool(context.aws_request_id),
            "time": isinstance(left, int) and 0 < left <= 900000,
            "path": event.get("rawPath", "/").strip("/").split("/")}

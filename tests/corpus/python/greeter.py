# SPDX-License-Identifier: MIT
"""Handlers that are no plain functions: an instance, a partial, a decorated method."""
import functools


def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return {"answer": function(*arguments), "by": function.__name__}
    return wrapper


class Greeter:
    def __init__(self, greeting):
        self.greeting = greeting

    @logged
    def greet(self, event, context):
        return f"{self.greeting}, {event['name']}!" + " " * bool(context is None)


hello = functools.partial(Greeter.greet, Greeter("Hello"))

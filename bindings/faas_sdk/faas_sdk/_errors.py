# SPDX-License-Identifier: MIT
"""What went wrong, and whether the function ran."""


class FaaSError(Exception):
    """A problem that novad has told of, or that kept it from being asked."""

    #: HTTP status; 0: there was no answer
    status: int
    #: for programs: it never changes its meaning (docs/novad.md)
    code: str
    #: "never_ran" (trying again is safe), "ran" or "unknown"
    outcome: str
    request_id: str
    #: seconds after which to try again, or None
    retry_after: "float | None"

    def __init__(self, message, *, status=0, code="connection", outcome="unknown",
                 request_id="", retry_after=None):
        super().__init__(message)
        self.status, self.code, self.outcome = status, code, outcome
        self.request_id, self.retry_after = request_id, retry_after

    @classmethod
    def of(cls, problem, retry_after=None):
        """Of a problem (RFC 9457) as novad tells it."""
        return cls(problem.get("error") or problem.get("detail") or "no reason was given",
                   status=problem.get("status", 0), code=problem.get("code", "internal"),
                   outcome=problem.get("outcome", "unknown"),
                   request_id=problem.get("request_id", ""), retry_after=retry_after)

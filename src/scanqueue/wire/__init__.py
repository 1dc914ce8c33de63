"""The values as JSON-ready dicts, and errors as problem details.

The keys are the names of the attributes. Moments are ISO 8601 in UTC with a `Z`, durations are
seconds, ids are text, members of enumerations are their values, and a priority is its name in
lower case. What `*_to_dict` gives, `json.dumps` takes; what `json.loads` gives, `*_from_dict`
takes, or refuses with a `ValueError` that names the field. Both ways are lossless, and a reader
ignores keys that it does not know, so that an older one understands a newer writer.
"""

from scanqueue.wire._dicts import (
    ProblemDict,
    ProgressDict,
    ResultDict,
    ScopeDict,
    StatsDict,
    SubmissionDict,
    TaskDict,
)
from scanqueue.wire._problems import problem_from_error
from scanqueue.wire._reading import stats_from_dict, submission_from_dict, task_from_dict
from scanqueue.wire._writing import stats_to_dict, submission_to_dict, task_to_dict

__all__ = [
    "ProblemDict",
    "ProgressDict",
    "ResultDict",
    "ScopeDict",
    "StatsDict",
    "SubmissionDict",
    "TaskDict",
    "problem_from_error",
    "stats_from_dict",
    "stats_to_dict",
    "submission_from_dict",
    "submission_to_dict",
    "task_from_dict",
    "task_to_dict",
]

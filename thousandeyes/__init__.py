"""The ThousandEyes v7 API as this project uses it; Prefect is not known here.

* `settings`: where the token, the account group and the limits come from
* `client`: the calls themselves
* `caller`, `calls`, `connection`: how a call gets to the API, through one connection pool
* `definitions`: what a new test measures
* `quota`, `gate`: what the replies tell of the rate limits, and who may send when
* `replies`, `errors`: what a reply means, and the errors that say so
* `rerun`: what becomes of one test, from asked for to its outcome
* `results`, `rounds`: what the laptops measured, read page by page
* `fleet`: the agents, however many there are
* `expected`, `watch`, `queries`, `awaiting`: whose results are to come, and who looks for them
* `thresholds`, `judging`, `verdict`: whether what was measured is good enough
* `app_links`: where people look at it
* `lists`: lists of test IDs, however people write them
* `finding`: which of the listed tests somebody looks for
* `text`: what a text from anywhere looks like to a person
* `terminal`, `ports`: the way out of every command, and the ports that some are given
* `simulator`: the same API on this machine, for a first run and for tests
"""

__version__ = "0.1.0"

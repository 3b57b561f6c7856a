"""A job: takes a moment, as a database migration would, and ends well."""

import time

time.sleep(0.5)

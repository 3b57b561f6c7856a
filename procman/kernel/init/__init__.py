"""`procman init`: one command under a process 1, with no site."""

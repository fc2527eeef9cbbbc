"""The study: `python -m bench.study PART`; the parts are listed in __main__.py."""
